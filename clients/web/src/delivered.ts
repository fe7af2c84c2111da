import { MartletError } from "./errors.ts";

/**
 * Tells the server by itself how far this client has received each conversation: what came in a moment as one,
 * and no conversation more than once a second. One is under way at a time, so that catching up with hundreds
 * of conversations is no storm.
 */
export interface DeliveredMarks {
  /** How the server has it; in larger conversations than `membersMost` nobody is told, so it is left out. */
  learn(conversationId: string, memberCount: number, deliveredSeq: number): void;
  received(conversationId: string, seq: number): void;
  forget(conversationId: string): void;
  /** Connected: says what was not said. */
  start(): void;
  stop(): void;
}

export interface DeliveredOptions {
  mark(conversationId: string, seq: number): Promise<unknown>;
  readonly later: (run: () => void, delayMs: number) => void;
  readonly membersMost: () => number;
}

interface Standing {
  memberCount: number;
  told: number;
  received: number;
  isResting: boolean;
}

const restMs = 1_000;

export function createDeliveredMarks({
  mark,
  later,
  membersMost,
}: DeliveredOptions): DeliveredMarks {
  const standings = new Map<string, Standing>();
  const queue = new Set<string>();
  let isBusy = false;
  let isRunning = false;
  let generation = 0;

  const get = (id: string): Standing => {
    const known = standings.get(id);
    if (known) return known;
    const fresh = { memberCount: 0, told: 0, received: 0, isResting: false };
    standings.set(id, fresh);
    return fresh;
  };
  const isWanted = ({ isResting, received, told, memberCount }: Standing) =>
    !isResting && received > told && (memberCount || 1) <= membersMost();
  const rest = (id: string, standing: Standing, delayMs: number) => {
    standing.isResting = true;
    later(() => {
      standing.isResting = false;
      want(id);
    }, delayMs);
  };
  const tell = async (id: string, standing: Standing) => {
    // The rest of the message that brought it may bring more.
    await Promise.resolve();
    const seq = standing.received;
    let delayMs = restMs;
    try {
      await mark(id, seq);
      standing.told = Math.max(standing.told, seq);
    } catch (error) {
      if (error instanceof MartletError && error.retryable)
        delayMs = Math.max(restMs, error.retryAfterMs);
      else if (!(error instanceof MartletError && error.code === "CLOSED")) standing.told = seq;
    }
    return delayMs;
  };
  const next = async () => {
    const [id] = queue;
    const standing = id === undefined ? undefined : standings.get(id);
    if (isBusy || !isRunning || id === undefined) return;
    queue.delete(id);
    if (!standing || !isWanted(standing)) return void next();
    const mine = generation;
    isBusy = true;
    const delayMs = await tell(id, standing);
    if (mine !== generation) return;
    isBusy = false;
    rest(id, standing, delayMs);
    void next();
  };
  const want = (id: string) => {
    queue.add(id);
    void next();
  };
  return {
    learn(id, memberCount, deliveredSeq) {
      const standing = get(id);
      if (memberCount) standing.memberCount = memberCount;
      standing.told = Math.max(standing.told, deliveredSeq);
    },
    received(id, seq) {
      const standing = get(id);
      standing.received = Math.max(standing.received, seq);
      want(id);
    },
    forget: (id) => void standings.delete(id),
    start() {
      isRunning = true;
      for (const id of standings.keys()) want(id);
    },
    stop() {
      generation++;
      isRunning = isBusy = false;
      queue.clear();
      for (const standing of standings.values()) standing.isResting = false;
    },
  };
}
