import type { Item } from "./codec.ts";
import { MartletError } from "./errors.ts";
import { type ConversationLog, createLog } from "./log.ts";
import type { Conversation, ConversationEvent, Cursor, HistoryPage } from "./model.ts";
import type { Persistence } from "./persist.ts";

/**
 * Keeps the logs of all conversations whole: what the server tells goes in, events come out in order, and what
 * is missing is fetched, or told as a gap.
 */
export interface Sync {
  onItem(item: Item): void;
  /** How far each conversation is: the most recently active ones, if they are more than `most`. */
  cursors(most: number): Cursor[];
  /** The connection is gone, and with it what was asked on it; `persistence` is stopped by its owner. */
  stop(): void;
}

export interface SyncOptions {
  readonly cursors: ReadonlyMap<string, number>;
  readonly persistence: Persistence;
  /** Beyond so many missing events there is a gap. */
  readonly resumeEvents: () => number;
  /** The page after a number, or the newest one. */
  history(conversationId: string, after?: number): Promise<HistoryPage>;
  conversation(conversationId: string): Promise<Conversation>;
  conversations(): AsyncIterable<Conversation>;
  onEvent(event: ConversationEvent): void;
  onGap(conversationId: string, seq: number): void;
  /** `seq`: up to where this client has its events. */
  onConversation(conversation: Conversation, seq: number): void;
  /** The user is no member any more, and everything up to `lastSeq` has been delivered. */
  onLeft(conversationId: string, lastSeq: number): void;
}

interface Kept {
  readonly log: ConversationLog;
  /** Of the newest state that was told. */
  stateVersion: number;
  /** The log ends here: the user is no member any more. */
  leftSeq: number | undefined;
  /** When it was last active, as far as is known. */
  timeMs: number;
}

/** Holes that are fetched at a time: what the user does must not wait behind hundreds of pages. */
const fetchesMost = 4;

const isNotFound = (error: unknown) => error instanceof MartletError && error.code === "NOT_FOUND";

export function createSync(options: SyncOptions): Sync {
  const kept = new Map<string, Kept>();
  /** The conversations of which this connection brings every event, since it had their cursor or told where it begins. */
  const followed = new Set<string>();
  /** The conversations whose holes are, or will be, fetched. */
  const fetching = new Set<string>();
  const queue: string[] = [];
  let fetches = 0;
  let generation = 0;

  const keep = (id: string, after: number, known?: Kept): Kept => {
    const { timeMs = 0, stateVersion = 0, leftSeq } = known ?? {};
    const one = { log: createLog(after), timeMs, stateVersion, leftSeq };
    kept.set(id, one);
    return one;
  };
  for (const [id, seq] of options.cursors) keep(id, seq);

  const deliver = (events: readonly ConversationEvent[]) => {
    for (const event of events) options.onEvent(event);
  };
  const skip = (id: string, log: ConversationLog, seq: number) => {
    const events = log.skip(seq);
    options.onGap(id, seq);
    deliver(events);
  };
  const begin = (id: string, seq: number) => {
    keep(id, seq, kept.get(id));
    options.onGap(id, seq);
  };

  /** What is missing of a conversation that was left comes first; then it is forgotten. */
  const part = (id: string) => {
    const { log, leftSeq } = kept.get(id) ?? {};
    if (!log || leftSeq === undefined || log.hole() !== undefined) return;
    kept.delete(id);
    options.onLeft(id, leftSeq);
  };
  const leave = (id: string, lastSeq: number) => {
    const known = kept.get(id);
    // None of the user's at all: there is nothing to fetch.
    if (!known || lastSeq === 0) {
      kept.delete(id);
      return options.onLeft(id, lastSeq);
    }
    known.leftSeq = lastSeq;
    known.log.expect(lastSeq);
    fetch(id);
    part(id);
  };

  const fetchPage = async (id: string, log: ConversationLog) => {
    const after = log.seq;
    const mine = generation;
    // As with a cursor that is too far behind.
    if (log.holeEnd() - after > options.resumeEvents()) return skip(id, log, log.holeEnd());
    let page: HistoryPage;
    try {
      page = await options.history(id, after);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // No longer ours: nobody will ever fill it.
      page = { events: [], hasMore: false };
    }
    // A Resync that went back, or another connection, has made another log.
    if (mine !== generation || kept.get(id)?.log !== log) return;
    // What the history leaves out is not there for us: it was before our time.
    const end = page.events[0] ? page.events[0].seq - 1 : log.holeEnd();
    if (log.seq === after && end > after) skip(id, log, end);
    for (const event of page.events) take(event);
    if (log.seq === after) throw new MartletError("INTERNAL", "a page that does not go on");
  };
  const fetchHole = async (id: string) => {
    const mine = generation;
    fetches++;
    try {
      // The rest of the message that told of it may close it.
      await Promise.resolve();
      for (;;) {
        const log = mine === generation ? kept.get(id)?.log : undefined;
        if (log?.hole() === undefined) break;
        await fetchPage(id, log);
      }
      if (mine !== generation) return;
      fetching.delete(id);
      part(id);
    } finally {
      fetches--;
      fetchNext();
    }
  };
  const fetchNext = () => {
    while (fetches < fetchesMost) {
      const id = queue.shift();
      if (id === undefined) return;
      options.persistence.run(() => fetchHole(id));
    }
  };
  const fetch = (id: string) => {
    if (kept.get(id)?.log.hole() === undefined || fetching.has(id)) return;
    fetching.add(id);
    queue.push(id);
    fetchNext();
  };

  const take = (event: ConversationEvent) => {
    const id = event.conversationId;
    const one = kept.get(id) ?? keep(id, event.seq - 1);
    one.timeMs = Math.max(one.timeMs, event.timeMs);
    followed.add(id);
    deliver(one.log.take(event));
    fetch(id);
  };
  const learn = (conversation: Conversation, isJoined: boolean) => {
    const { id, firstSeq, lastSeq, lastEventTimeMs, stateVersion } = conversation;
    let known = kept.get(id);
    if (known?.leftSeq !== undefined) {
      // A member again before everything up to its going was here.
      const { log, leftSeq } = known;
      if (log.hole() !== undefined) skip(id, log, leftSeq);
      part(id);
      known = kept.get(id);
    }
    const one = known ?? keep(id, isJoined ? Math.max(0, firstSeq - 1) : lastSeq);
    one.timeMs = Math.max(one.timeMs, lastEventTimeMs);
    one.stateVersion = stateVersion;
    const isFollowed = followed.has(id) || isJoined;
    followed.add(id);
    options.onConversation(conversation, one.log.seq);
    if (!known) return;
    const { log } = known;
    // A number beyond the server's log is of no use: the server's word counts.
    if (!isFollowed && lastSeq < log.seq) return begin(id, lastSeq);
    if (firstSeq - 1 > log.seq) skip(id, log, firstSeq - 1);
    if (isFollowed) return;
    log.expect(lastSeq);
    fetch(id);
  };
  const resync = (id: string, lastSeq: number) => {
    const log = kept.get(id)?.log;
    if (log && lastSeq >= log.seq) skip(id, log, lastSeq);
    else begin(id, lastSeq);
  };
  const compare = (conversation: Conversation) => {
    const { id, lastSeq, stateVersion } = conversation;
    const known = kept.get(id);
    if (!known || (lastSeq <= known.log.seq && stateVersion === known.stateVersion)) return;
    known.stateVersion = stateVersion;
    options.onConversation(conversation, known.log.seq);
    known.log.expect(lastSeq);
    fetch(id);
  };
  const compareOne = async (id: string, mine: number) => {
    /** Undefined if it is not there for this user. */
    const orNothing = <T>(asked: Promise<T>): Promise<T | undefined> =>
      asked.catch((error) => {
        if (!isNotFound(error)) throw error;
        return undefined;
      });
    const conversation = await orNothing(options.conversation(id));
    // Who is no member any more reads up to its going.
    const newest = conversation ? undefined : await orNothing(options.history(id));
    if (mine !== generation) return;
    if (conversation) compare(conversation);
    else leave(id, newest?.events.at(-1)?.seq ?? 0);
  };
  /** The server tells the state of the most active conversations only; the others are looked up. */
  const compareOthers = async () => {
    const mine = generation;
    const others = new Set([...kept.keys()].filter((id) => !followed.has(id)));
    if (!others.size) return;
    for await (const conversation of options.conversations()) {
      if (mine !== generation) return;
      if (others.delete(conversation.id)) compare(conversation);
      if (!others.size) return;
    }
    // Not in the list: left, or moved to its head while it was read.
    for (const id of others)
      if (mine === generation && !followed.has(id)) await compareOne(id, mine);
  };
  return {
    onItem(item) {
      if (item.kind === "event") take(item.event);
      else if (item.kind === "state") learn(item.conversation, false);
      else if (item.kind === "joined") learn(item.conversation, true);
      else if (item.kind === "left") leave(item.conversationId, item.lastSeq);
      else if (item.kind === "resync") resync(item.conversationId, item.lastSeq);
      else if (item.kind === "ready") {
        for (const id of kept.keys()) fetch(id);
        options.persistence.run(compareOthers);
      }
    },
    cursors(most) {
      const chosen = [...kept].sort(([, a], [, b]) => b.timeMs - a.timeMs).slice(0, most);
      followed.clear();
      return chosen.map(([conversationId, { log, stateVersion }]) => {
        followed.add(conversationId);
        return { conversationId, seq: log.seq, stateVersion };
      });
    },
    stop() {
      generation++;
      fetching.clear();
      queue.length = 0;
      // The next Hello has its cursor, and is answered with how it stands then.
      for (const one of kept.values()) one.leftSeq = undefined;
    },
  };
}
