import type { ConversationEvent } from "./model.ts";

/**
 * One conversation's events in order, the hub's twin: each number once, none missing. What came too early
 * waits; `hole` says what to fetch.
 */
export interface ConversationLog {
  /** Everything up to this number has been delivered. */
  readonly seq: number;
  /** The events that may be delivered now, this one perhaps among them. */
  take(event: ConversationEvent): ConversationEvent[];
  /** The log is known to reach this far, though nothing of it has come. */
  expect(seq: number): void;
  /** The number after which something is missing, if it is known that something follows. */
  hole(): number | undefined;
  /** The last number of the hole. */
  holeEnd(): number;
  /** Goes on from a number, whatever is before it. */
  skip(seq: number): ConversationEvent[];
}

/** What may wait for a hole to close; beyond it the farthest is dropped, and fetched later. */
const waitingMost = 256;

export function createLog(after: number): ConversationLog {
  const waiting = new Map<number, ConversationEvent>();
  let seq = after;
  let last = after;

  const drain = (): ConversationEvent[] => {
    const ready: ConversationEvent[] = [];
    for (let next = waiting.get(seq + 1); next; next = waiting.get(seq + 1)) {
      waiting.delete(++seq);
      ready.push(next);
    }
    return ready;
  };
  const expect = (to: number) => {
    last = Math.max(last, to);
  };
  return {
    get seq() {
      return seq;
    },
    expect,
    take(event) {
      if (event.seq <= seq) return [];
      expect(event.seq);
      waiting.set(event.seq, event);
      if (waiting.size > waitingMost) waiting.delete(Math.max(...waiting.keys()));
      return drain();
    },
    hole: () => (seq < last ? seq : undefined),
    holeEnd: () => (waiting.size ? Math.min(...waiting.keys()) - 1 : last),
    skip(to) {
      seq = Math.max(seq, to);
      for (const key of waiting.keys()) if (key <= seq) waiting.delete(key);
      return drain();
    },
  };
}
