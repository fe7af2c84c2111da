/** The only room that knows protobuf. */
import { type ErrorCode, MartletError } from "./errors.ts";
import {
  type ClientFrame,
  Code,
  ConversationKind,
  PbfReader,
  PbfWriter,
  readServerFrame,
  type Conversation as WireConversation,
  type ConversationEvent as WireEvent,
  type Item as WireItem,
  type Presence as WirePresence,
  type Reply as WireReply,
  writeClientFrame,
} from "./gen/martlet.js";
import type {
  Conversation,
  ConversationEvent,
  Cursor,
  EventContent,
  HistoryPage,
  Member,
  Presence,
  PresenceStatus,
  ReceiptChanged,
  Role,
  TypingChanged,
  Welcome,
} from "./model.ts";

/** One arm of a oneof, by its name. */
type Arm<T, K extends keyof T> = { [P in K]-?: { $case: P; value: NonNullable<T[P]> } }[K];

/** What is left out is empty, as on the wire. */
type Sparse<T> = T extends Uint8Array | string | number | boolean
  ? T
  : T extends readonly (infer U)[]
    ? readonly Sparse<U>[]
    : { [K in keyof T]?: Sparse<T[K]> };

export type Command = {
  [P in NonNullable<ClientFrame["command"]>]: {
    $case: P;
    value: Sparse<NonNullable<ClientFrame[P]>>;
  };
}[NonNullable<ClientFrame["command"]>];

/** Results whose events and conversations are the model's, not the wire's. */
interface Results extends Omit<WireReply, keyof ModelResults>, ModelResults {}
interface ModelResults {
  getHistory: HistoryPage;
  listConversations: { conversations: Conversation[]; nextPage: string };
  getConversation: { conversation: Conversation };
  listMembers: { members: Member[]; nextPage: string };
  openDirect: { conversation: Conversation; created: boolean };
  createGroup: { conversation: Conversation; created: boolean };
  watchPresence: { presences: Presence[] };
}
export type Result = Arm<Results, Exclude<NonNullable<WireReply["result"]>, "error">>;

/** What the server tells, one at a time. */
export type Item =
  | {
      kind: "reply";
      requestId: number;
      result: Result | undefined;
      error: MartletError | undefined;
    }
  | { kind: "event"; event: ConversationEvent }
  | { kind: "welcome"; welcome: Welcome }
  | { kind: "state"; conversation: Conversation }
  | { kind: "joined"; conversation: Conversation }
  | { kind: "resync"; conversationId: string; lastSeq: number }
  | { kind: "ready" }
  | { kind: "left"; conversationId: string; lastSeq: number }
  | { kind: "receipt"; receipt: ReceiptChanged }
  | { kind: "typing"; typing: TypingChanged }
  | { kind: "presence"; presence: Presence }
  | { kind: "mute"; mute: { conversationId: string; untilMs: number } }
  | { kind: "block"; block: { user: string; blocked: boolean } }
  | { kind: "tokenExpiring" }
  | { kind: "draining"; reconnectAfterMs: number };

const codes = new Map<number, ErrorCode>(
  Object.entries(Code)
    .filter(([, value]) => value !== Code.CODE_UNSPECIFIED)
    .map(([name, value]) => [value, name.slice("CODE_".length) as ErrorCode]),
);

export function encodeCommand(requestId: number, { $case, value }: Command): Uint8Array {
  const writer = new PbfWriter();
  writeClientFrame({ requestId, [$case]: value }, writer);
  return writer.finish();
}

export function helloCommand(
  token: string,
  device: string,
  client: string,
  cursors: readonly Cursor[],
): Command {
  const value = { token, device, client, protocolMin: 1, protocolMax: 1, features: [] };
  return { $case: "hello", value: { ...value, cursors: [...cursors] } };
}

/** Throws what ends the connection: on numbers and ids that no server of sound mind sends. */
function check(isSound: boolean, what: string): void {
  if (!isSound) throw new Error(`unsound ${what}`);
}
const checkId = (id: string) => check(id !== "", "id");
const checkSeq = (seq: number, least = 0) =>
  check(Number.isSafeInteger(seq) && seq >= least, "sequence number");
/** What a Date can hold. */
const checkTime = (ms: number) => check(Math.abs(ms) <= 8.64e15, "time");

const roles: readonly Role[] = ["member", "member", "admin", "owner"];
const toRole = (role: number): Role => roles[role] ?? "member";
export const roleNumber = (role: Role): number => roles.lastIndexOf(role);

const statuses: readonly PresenceStatus[] = ["offline", "offline", "away", "online"];
const toPresence = (wire: WirePresence): Presence => {
  checkId(wire.user);
  checkTime(wire.lastSeenMs);
  return { ...wire, status: statuses[wire.status] ?? "offline" };
};
export const statusNumber = (status: PresenceStatus): number => statuses.lastIndexOf(status);

/** An empty body is not on the wire. */
const withBody = <T extends { body: Uint8Array | undefined }>(content: T) => ({
  ...content,
  body: content.body ?? new Uint8Array(),
});

function toContent(wire: WireEvent): EventContent {
  const { kind, message, messageEdited, roleChanged } = wire;
  if (!kind) return { kind: "unknown" };
  if (message) {
    for (const seq of [message.replyToSeq, message.editedSeq]) checkSeq(seq);
    for (const seq of [message.redactedSeq, message.reactionsSeq]) checkSeq(seq);
    return { ...withBody(message), kind: "message" };
  }
  const target = wire[kind] as { targetSeq?: number };
  if (target.targetSeq !== undefined) checkSeq(target.targetSeq, 1);
  if (messageEdited) return { ...withBody(messageEdited), kind: "messageEdited" };
  if (roleChanged) return { ...roleChanged, kind: "roleChanged", role: toRole(roleChanged.role) };
  return { ...target, kind } as EventContent;
}

function toEvent(wire: WireEvent): ConversationEvent {
  const { conversationId, seq, sender, timeMs } = wire;
  checkId(conversationId);
  checkSeq(seq, 1);
  checkTime(timeMs);
  return { conversationId, seq, sender, timeMs, content: toContent(wire) };
}

const checkMark = ({ deliveredSeq, readSeq }: { deliveredSeq: number; readSeq: number }) => {
  checkSeq(deliveredSeq);
  checkSeq(readSeq);
};

function toConversation(wire: WireConversation | undefined): Conversation {
  if (!wire) throw new Error("no conversation");
  const { id, kind, role, firstSeq, lastSeq, lastEventTimeMs, lastEvent, receipts } = wire;
  checkId(id);
  checkSeq(firstSeq);
  checkSeq(lastSeq);
  checkTime(lastEventTimeMs);
  for (const mark of [wire, ...receipts]) checkMark(mark);
  return {
    ...wire,
    kind: kind === ConversationKind.CONVERSATION_KIND_DIRECT ? "direct" : "group",
    role: toRole(role),
    lastEvent: lastEvent && toEvent(lastEvent),
  };
}

function toResult(wire: WireReply): Result | undefined {
  const { result: $case, getHistory, listConversations, listMembers, watchPresence } = wire;
  if (!$case || $case === "error") return undefined;
  if (getHistory) {
    const events = getHistory.events.map(toEvent);
    return { $case: "getHistory", value: { ...getHistory, events } };
  }
  if (listConversations) {
    const conversations = listConversations.conversations.map(toConversation);
    return { $case: "listConversations", value: { ...listConversations, conversations } };
  }
  if (listMembers) {
    const members = listMembers.members.map(({ user, role }) => ({ user, role: toRole(role) }));
    return { $case: "listMembers", value: { ...listMembers, members } };
  }
  if (watchPresence) {
    const presences = watchPresence.presences.map(toPresence);
    return { $case: "watchPresence", value: { presences } };
  }
  if ($case === "openDirect" || $case === "createGroup" || $case === "getConversation") {
    const { created = false, conversation } = { ...wire[$case] } as { created?: boolean } & {
      conversation?: WireConversation;
    };
    return { $case, value: { conversation: toConversation(conversation), created } } as Result;
  }
  if (wire.sendMessage) {
    checkSeq(wire.sendMessage.seq, 1);
    checkTime(wire.sendMessage.timeMs);
  }
  if (wire.change) checkSeq(wire.change.seq);
  if (wire.mark) checkMark(wire.mark);
  // The rest is outside as it is on the wire.
  return { $case, value: wire[$case] } as Result;
}

function toReply(wire: WireReply): Item {
  const { requestId, error: refusal } = wire;
  const error =
    refusal &&
    new MartletError(
      codes.get(refusal.code) ?? "INTERNAL",
      refusal.message,
      refusal.field,
      refusal.retryAfterMs,
    );
  return { kind: "reply", requestId, result: toResult(wire), error };
}

function toItem(wire: WireItem): Item | undefined {
  const { reply, event, welcome, conversationState, conversationJoined, resync, draining } = wire;
  if (reply) return toReply(reply);
  if (event) return { kind: "event", event: toEvent(event) };
  if (welcome) {
    const { server, node, user, heartbeatMs, limits } = welcome;
    return {
      kind: "welcome",
      welcome: {
        ...(limits as NonNullable<typeof limits>),
        server,
        node,
        user,
        heartbeatMs,
        frameBytes: limits?.frameBytes || 65536,
        bodyBytes: limits?.bodyBytes || 16384,
        cursors: limits?.cursors || 500,
        resumeEvents: limits?.resumeEvents || 500,
      },
    };
  }
  if (conversationState)
    return { kind: "state", conversation: toConversation(conversationState.conversation) };
  if (conversationJoined)
    return { kind: "joined", conversation: toConversation(conversationJoined.conversation) };
  const { conversationLeft, receiptChanged, typingChanged, presenceChanged } = wire;
  const ended = resync ?? conversationLeft;
  if (ended) {
    checkId(ended.conversationId);
    checkSeq(ended.lastSeq);
    return { kind: resync ? "resync" : "left", ...ended };
  }
  if (receiptChanged) {
    checkMark(receiptChanged);
    return { kind: "receipt", receipt: receiptChanged };
  }
  if (typingChanged) {
    checkId(typingChanged.conversationId);
    return { kind: "typing", typing: typingChanged };
  }
  if (presenceChanged?.presence)
    return { kind: "presence", presence: toPresence(presenceChanged.presence) };
  if (wire.muteChanged) return { kind: "mute", mute: wire.muteChanged };
  if (wire.blockChanged) return { kind: "block", block: wire.blockChanged };
  if (wire.ready) return { kind: "ready" };
  if (wire.tokenExpiring) return { kind: "tokenExpiring" };
  if (draining) return { kind: "draining", reconnectAfterMs: draining.reconnectAfterMs };
  return undefined;
}

/** Throws on bytes that are no ServerFrame; leaves out items that this version does not know. */
export function decodeItems(bytes: Uint8Array): Item[] {
  const reader = new PbfReader(bytes);
  const { items } = readServerFrame(reader);
  // The reader itself reads zeros beyond the end.
  if (reader.pos !== bytes.length) throw new Error("a frame that does not end where it should");
  return items.flatMap((item) => toItem(item) ?? []);
}
