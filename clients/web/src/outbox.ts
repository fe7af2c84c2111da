import { MartletError } from "./errors.ts";
import type { Sent } from "./model.ts";

/** A message on its way: kept until the server has answered it. */
export interface Outgoing {
  readonly conversationId: string;
  readonly clientMessageId: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly replyToSeq: number;
  readonly mentions: readonly string[];
}

export interface Outbox {
  /** Resolves with the number once the server has it; the order within a conversation is kept. */
  add(message: Outgoing): Promise<Sent>;
  /** Messages that the server has not answered. */
  readonly pending: readonly Outgoing[];
  /** Connected: sends what waits. */
  start(): void;
  /** Not connected: what was sent without an answer will be sent again, with its identity. */
  stop(): void;
  /** Refuses everything that waits, and everything that comes. */
  close(): void;
}

interface Entry {
  readonly message: Outgoing;
  readonly resolve: (sent: Sent) => void;
  readonly reject: (error: Error) => void;
}

/**
 * One message of a conversation is under way at a time, so that a failure never lets a later one overtake
 * it; conversations do not wait for each other.
 */
export function createOutbox(
  send: (message: Outgoing) => Promise<Sent>,
  later: (run: () => void, delayMs: number) => void,
  most: number,
): Outbox {
  const queues = new Map<string, Entry[]>();
  const busy = new Set<string>();
  let generation = 0;
  let isRunning = false;
  let isClosed = false;
  let count = 0;

  /** True if it had not ended before: an answer may come twice, of two connections. */
  const take = (entry: Entry): boolean => {
    const id = entry.message.conversationId;
    const queue = queues.get(id) ?? [];
    const index = queue.indexOf(entry);
    if (index < 0) return false;
    queue.splice(index, 1);
    if (!queue.length) queues.delete(id);
    count--;
    return true;
  };
  const advance = async (id: string) => {
    const entry = queues.get(id)?.[0];
    if (!isRunning || busy.has(id) || !entry) return;
    const mine = generation;
    const goOn = () => {
      if (mine !== generation) return;
      busy.delete(id);
      void advance(id);
    };
    busy.add(id);
    try {
      // An answer counts even if the connection ended in the same moment.
      const sent = await send(entry.message);
      if (take(entry)) entry.resolve(sent);
    } catch (error) {
      const failure = error instanceof MartletError ? error : undefined;
      // A connection that went away in between is no answer: start() sends it again.
      if (failure?.code === "CLOSED") return;
      if (failure?.retryable) {
        if (mine === generation) later(goOn, failure.retryAfterMs || 1000);
        return;
      }
      if (take(entry)) entry.reject(error as Error);
    }
    goOn();
  };
  const stop = () => {
    generation++;
    isRunning = false;
    busy.clear();
  };
  return {
    stop,
    add(message) {
      if (isClosed) return Promise.reject(new MartletError("CLOSED", "closed"));
      if (count >= most)
        return Promise.reject(new MartletError("OUTBOX_FULL", `${most} messages wait already`));
      return new Promise((resolve, reject) => {
        const queue = queues.get(message.conversationId) ?? [];
        queues.set(message.conversationId, queue);
        queue.push({ message, resolve, reject });
        count++;
        void advance(message.conversationId);
      });
    },
    get pending() {
      return [...queues.values()].flat().map((entry) => entry.message);
    },
    start() {
      stop();
      isRunning = true;
      for (const id of [...queues.keys()]) void advance(id);
    },
    close() {
      stop();
      isClosed = true;
      for (const entry of [...queues.values()].flat())
        if (take(entry)) entry.reject(new MartletError("CLOSED", "closed"));
    },
  };
}
