/** The only room that knows protobuf. */
import { type ErrorCode, MartletError } from "./errors.ts";
import {
  type ClientFrame,
  Code,
  ConversationKind,
  PbfReader,
  PbfWriter,
  Role,
  readServerFrame,
  type Conversation as WireConversation,
  type ConversationEvent as WireEvent,
  type Item as WireItem,
  type Reply as WireReply,
  writeClientFrame,
} from "./gen/martlet.js";
import type { Conversation, ConversationEvent, Cursor, HistoryPage, Welcome } from "./model.ts";

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
  openDirect: { conversation: Conversation; created: boolean };
  createGroup: { conversation: Conversation; created: boolean };
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

function toEvent(wire: WireEvent): ConversationEvent {
  const { conversationId, seq, sender, timeMs, message, created } = wire;
  checkId(conversationId);
  checkSeq(seq, 1);
  checkTime(timeMs);
  const event = { conversationId, seq, sender, timeMs };
  if (message) {
    const { body = new Uint8Array(), ...rest } = message;
    checkSeq(rest.replyToSeq);
    return { ...event, content: { kind: "message", body, ...rest } };
  }
  return { ...event, content: created ? { kind: "created", ...created } : { kind: "unknown" } };
}

function toConversation(wire: WireConversation | undefined): Conversation {
  if (!wire) throw new Error("no conversation");
  const { id, kind, role, firstSeq, lastSeq, lastEventTimeMs, lastEvent } = wire;
  checkId(id);
  checkSeq(firstSeq);
  checkSeq(lastSeq);
  checkTime(lastEventTimeMs);
  return {
    ...wire,
    kind: kind === ConversationKind.CONVERSATION_KIND_DIRECT ? "direct" : "group",
    role: role === Role.ROLE_OWNER ? "owner" : role === Role.ROLE_ADMIN ? "admin" : "member",
    lastEvent: lastEvent && toEvent(lastEvent),
  };
}

function toResult(wire: WireReply): Result | undefined {
  const { result: $case, getHistory, listConversations } = wire;
  if (!$case || $case === "error") return undefined;
  if (getHistory) {
    const events = getHistory.events.map(toEvent);
    return { $case: "getHistory", value: { ...getHistory, events } };
  }
  if (listConversations) {
    const conversations = listConversations.conversations.map(toConversation);
    return { $case: "listConversations", value: { ...listConversations, conversations } };
  }
  if ($case === "openDirect" || $case === "createGroup") {
    const { conversation, created = false } = wire[$case] ?? {};
    return { $case, value: { conversation: toConversation(conversation), created } };
  }
  if (wire.sendMessage) {
    checkSeq(wire.sendMessage.seq, 1);
    checkTime(wire.sendMessage.timeMs);
  }
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
  if (resync) {
    checkId(resync.conversationId);
    checkSeq(resync.lastSeq);
    return { kind: "resync", ...resync };
  }
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
