/**
 * One conversation as a client keeps it, folded from what its session is told: the rules are those of
 * proto/martlet/v1. It is strict, and throws on whatever the protocol does not allow: a gap, an event twice, an
 * event after the user's going.
 */
import type {
  Conversation,
  ConversationEvent,
  Item,
  Message as WireMessage,
} from "../../clients/web/src/gen/martlet.js";
import type { Message } from "./model.ts";

export interface View {
  readonly user: string;
  readonly id: string;
  /** It was told of the conversation, and so keeps it. */
  isKept: boolean;
  isMember: boolean;
  /** This session was told of it: before, the user may have been out and in again. */
  isTold: boolean;
  /** Everything up to it is here, or was there before this client began. */
  cursor: number;
  /** The lowest number from which on everything is here. */
  from: number;
  stateVersion: number;
  /** How it stood at `asOf`, with what came after it applied. */
  asOf: number;
  title: string;
  announcement: boolean;
  fullHistory: boolean;
  role: number;
  memberCount: number;
  firstSeq: number;
  mutedUntil: number;
  delivered: number;
  read: number;
  unread: number;
  readonly receipts: Map<string, { delivered: number; read: number }>;
  readonly events: Map<number, ConversationEvent>;
}

export const createView = (user: string, id: string): View => ({
  user,
  id,
  isKept: false,
  isMember: false,
  isTold: false,
  cursor: 0,
  from: 1,
  stateVersion: 0,
  asOf: 0,
  title: "",
  announcement: false,
  fullHistory: false,
  role: 0,
  memberCount: 0,
  firstSeq: 1,
  mutedUntil: 0,
  delivered: 0,
  read: 0,
  unread: 0,
  receipts: new Map(),
  events: new Map(),
});

function check(isSo: boolean, view: View, what: string): void {
  if (!isSo)
    throw new Error(`${view.user}: ${what} (cursor ${view.cursor}, member: ${view.isMember})`);
}

/** The newer parts of two copies of a message, whichever way they were learned. */
function merge(a: WireMessage, b: WireMessage): WireMessage {
  const content = b.redactedSeq || b.editedSeq > a.editedSeq ? b : a;
  const reactions = b.reactionsSeq > a.reactionsSeq ? b : a;
  return {
    ...content,
    redactedSeq: a.redactedSeq || b.redactedSeq,
    reactions: reactions.reactions,
    reactionsSeq: reactions.reactionsSeq,
  };
}

/** One event, from the session or from a page of history. */
export function learn(view: View, event: ConversationEvent): void {
  check(event.conversationId === view.id, view, "an event of another conversation");
  const known = view.events.get(event.seq);
  const message =
    known?.message && event.message ? merge(known.message, event.message) : event.message;
  view.events.set(event.seq, message ? { ...event, message } : event);
}

/** What an event changes of the conversation itself. */
function apply(view: View, event: ConversationEvent): void {
  if (event.groupUpdated) {
    const { title, announcement, fullHistory } = event.groupUpdated;
    Object.assign(view, { title, announcement, fullHistory });
  }
  if (event.roleChanged?.user === view.user) view.role = event.roleChanged.role;
  if (event.membersAdded) {
    view.memberCount += event.membersAdded.users.length;
    // Who is added has what was before.
    const before = event.seq - 1;
    for (const user of event.membersAdded.users)
      view.receipts.set(user, { delivered: before, read: before });
  }
  if (event.memberRemoved) {
    view.memberCount--;
    view.receipts.delete(event.memberRemoved.user);
  }
}

function takeEvent(view: View, event: ConversationEvent): void {
  check(view.isMember, view, `event ${event.seq} of a conversation that it is not in`);
  check(event.seq === view.cursor + 1, view, `event ${event.seq} is not the next`);
  view.cursor = event.seq;
  view.isTold = true;
  learn(view, event);
  if (event.seq <= view.asOf) return;
  apply(view, event);
  // Nothing may follow.
  if (event.memberRemoved?.user === view.user) view.isMember = false;
}

function takeState(view: View, wire: Conversation | undefined, isJoined: boolean): void {
  if (!wire) throw new Error("a state without a conversation");
  check(!isJoined || !view.isMember || !view.isTold, view, "joined although it is a member");
  view.isTold = true;
  if (isJoined) view.cursor = wire.firstSeq - 1;
  else if (!view.isKept) view.cursor = wire.lastSeq;
  view.cursor = Math.max(view.cursor, wire.firstSeq - 1);
  if (isJoined || !view.isKept) view.from = view.cursor + 1;
  else view.from = Math.max(view.from, wire.firstSeq);
  // Numbers before one's own beginning are not there to see any more.
  for (const seq of view.events.keys()) if (seq < wire.firstSeq) view.events.delete(seq);
  view.isKept = true;
  view.isMember = true;
  view.asOf = wire.lastSeq;
  view.stateVersion = wire.stateVersion;
  const { title, announcement, fullHistory, role, memberCount, firstSeq } = wire;
  Object.assign(view, { title, announcement, fullHistory, role, memberCount, firstSeq });
  view.mutedUntil = wire.mutedUntilMs;
  view.delivered = wire.deliveredSeq;
  view.read = wire.readSeq;
  view.unread = wire.unreadCount;
  view.receipts.clear();
  for (const { user, deliveredSeq, readSeq } of wire.receipts)
    view.receipts.set(user, { delivered: deliveredSeq, read: readSeq });
}

/** How far this user itself has it; only ever grows. */
export function takeMark(view: View, delivered: number, read: number): void {
  view.delivered = Math.max(view.delivered, delivered);
  view.read = Math.max(view.read, read);
}

/** One item of the session. True if it said that the user is gone, and that there is more to page. */
export function take(view: View, item: Item): boolean {
  if (item.event) takeEvent(view, item.event);
  if (item.conversationState) takeState(view, item.conversationState.conversation, false);
  if (item.conversationJoined) takeState(view, item.conversationJoined.conversation, true);
  if (item.receiptChanged) {
    const { user, deliveredSeq, readSeq } = item.receiptChanged;
    const known = view.receipts.get(user);
    if (user === view.user) takeMark(view, deliveredSeq, readSeq);
    else if (known) {
      known.delivered = Math.max(known.delivered, deliveredSeq);
      known.read = Math.max(known.read, readSeq);
    }
  }
  if (item.muteChanged) view.mutedUntil = item.muteChanged.untilMs;
  if (!item.conversationLeft) return false;
  const { lastSeq } = item.conversationLeft;
  check(lastSeq >= view.cursor, view, `left at ${lastSeq}, but more was told`);
  view.isMember = false;
  return lastSeq > view.cursor;
}

/** A message as it is shown: its best copy, with the changes that the copy does not have yet. */
function show(view: View, seq: number, copy: WireMessage, changes: ConversationEvent[]): Message {
  const { messageRedacted } = changes.find((e) => e.messageRedacted) ?? {};
  const redacted = copy.redactedSeq > 0 || messageRedacted !== undefined;
  const edit = changes.filter((e) => e.messageEdited && e.seq > copy.editedSeq).at(-1);
  const content = edit?.messageEdited ?? copy;
  const reactions = new Map(
    copy.reactions.map(({ symbol, count, mine }) => [symbol, { symbol, count, mine }]),
  );
  for (const { seq: at, sender, reactionChanged } of changes) {
    if (!reactionChanged || at <= copy.reactionsSeq) continue;
    const { symbol, added } = reactionChanged;
    const one = reactions.get(symbol) ?? { symbol, count: 0, mine: false };
    one.count += added ? 1 : -1;
    if (sender === view.user) one.mine = added;
    reactions.set(symbol, one);
    if (one.count === 0) reactions.delete(symbol);
  }
  return {
    seq,
    sender: view.events.get(seq)?.sender ?? "",
    id: copy.clientMessageId,
    replyTo: copy.replyToSeq,
    body: redacted ? "" : new TextDecoder().decode(content.body),
    contentType: redacted ? "" : content.contentType,
    mentions: redacted ? [] : content.mentions,
    editedSeq: redacted ? 0 : (edit?.seq ?? copy.editedSeq),
    redacted,
    reactions: redacted
      ? []
      : [...reactions.values()].sort((a, b) =>
          Buffer.compare(Buffer.from(a.symbol), Buffer.from(b.symbol)),
        ),
  };
}

const targetOf = (e: ConversationEvent): number =>
  (e.messageEdited ?? e.messageRedacted ?? e.reactionChanged)?.targetSeq ?? 0;

/** All messages that it has, in order, as they are shown. */
export function messagesOf(view: View): Message[] {
  const events = [...view.events.values()].sort((a, b) => a.seq - b.seq);
  const changes = new Map<number, ConversationEvent[]>();
  for (const event of events)
    changes.set(targetOf(event), [...(changes.get(targetOf(event)) ?? []), event]);
  return events.flatMap(({ seq, message }) =>
    message ? [show(view, seq, message, changes.get(seq) ?? [])] : [],
  );
}

/** The members and their roles, where the whole log is here; undefined where it is not. */
export function membersFrom(view: View): Map<string, number> | undefined {
  const members = new Map<string, number>();
  for (let seq = 1; seq <= view.cursor; seq++) {
    const event = view.events.get(seq);
    if (!event) return undefined;
    for (const user of event.created?.members ?? [])
      members.set(user, user === event.sender ? 3 : 1);
    for (const user of event.membersAdded?.users ?? []) members.set(user, 1);
    if (event.memberRemoved) members.delete(event.memberRemoved.user);
    if (event.roleChanged) members.set(event.roleChanged.user, event.roleChanged.role);
  }
  return members;
}

/** Unread messages by its own count, where all that may be unread is here; undefined where it is not. */
export function countUnread(view: View): number | undefined {
  const after = Math.max(view.read, view.firstSeq - 1);
  if (view.from > after + 1) return undefined;
  return messagesOf(view).filter(
    ({ seq, sender, redacted }) => seq > after && sender !== view.user && !redacted,
  ).length;
}
