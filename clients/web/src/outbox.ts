import { MartletError } from "./errors.ts";
import type { Sent } from "./model.ts";

/** A message on its way: kept until the server has answered it. */
export interface Outgoing {
  readonly conversationId: string;
  readonly clientMessageId: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly replyToSeq: number;
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
  /** Refuses everything that waits. */
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
  let running = false;
  let count = 0;

  const settle = (id: string, end: (entry: Entry) => void) => {
    const queue = queues.get(id);
    const entry = queue?.shift();
    if (!queue?.length) queues.delete(id);
    if (entry) {
      count--;
      end(entry);
    }
  };
  const advance = async (id: string) => {
    const entry = queues.get(id)?.[0];
    if (!running || busy.has(id) || !entry) return;
    const mine = generation;
    busy.add(id);
    try {
      const sent = await send(entry.message);
      if (mine === generation) settle(id, (e) => e.resolve(sent));
    } catch (error) {
      if (mine !== generation) return;
      const failure = error instanceof MartletError ? error : undefined;
      // A connection that went away in between is no answer: start() sends it again.
      if (failure?.code === "CLOSED") return;
      if (failure?.retryable) {
        later(() => {
          if (mine !== generation) return;
          busy.delete(id);
          void advance(id);
        }, failure.retryAfterMs || 1000);
        return;
      }
      settle(id, (e) => e.reject(error as Error));
    }
    if (mine !== generation) return;
    busy.delete(id);
    void advance(id);
  };
  return {
    add(message) {
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
      generation++;
      running = true;
      busy.clear();
      for (const id of queues.keys()) void advance(id);
    },
    stop() {
      generation++;
      running = false;
      busy.clear();
    },
    close() {
      generation++;
      running = false;
      for (const id of [...queues.keys()])
        while (queues.has(id)) settle(id, (e) => e.reject(new MartletError("CLOSED", "closed")));
    },
  };
}
