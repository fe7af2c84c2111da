/** The only room that knows protobuf. */

import { type ErrorCode, MartletError } from "./errors.ts";
import {
  ConversationKind,
  type Conversation as WireConversation,
} from "./gen/martlet/v1/conversations.ts";
import { Code } from "./gen/martlet/v1/error.ts";
import { Role, type ConversationEvent as WireEvent } from "./gen/martlet/v1/events.ts";
import { ClientFrame, ServerFrame, type Item as WireItem } from "./gen/martlet/v1/frame.ts";
import type { Conversation, ConversationEvent, Cursor, Welcome } from "./model.ts";

export type Command = NonNullable<ClientFrame["command"]>;
export type Result = NonNullable<
  Extract<NonNullable<WireItem["kind"]>, { $case: "reply" }>["value"]["result"]
>;

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
    .filter(([name]) => name !== "CODE_UNSPECIFIED" && name !== "UNRECOGNIZED")
    .map(([name, value]) => [value, name.slice("CODE_".length) as ErrorCode]),
);

export function encodeCommand(requestId: number, command: Command): Uint8Array {
  return ClientFrame.encode({ requestId, command }).finish();
}

export function helloCommand(
  token: string,
  device: string,
  client: string,
  cursors: readonly Cursor[],
): Command {
  const value = { token, device, client, protocolMin: 1, protocolMax: 1, features: [] };
  return {
    $case: "hello",
    value: { ...value, cursors: cursors.map((cursor) => ({ stateVersion: 0, ...cursor })) },
  };
}

export function toEvent(wire: WireEvent): ConversationEvent {
  const { conversationId, seq, sender, timeMs, kind } = wire;
  const event = { conversationId, seq, sender, timeMs };
  switch (kind?.$case) {
    case "message":
      return { ...event, content: { kind: "message", ...kind.value } };
    case "created":
      return { ...event, content: { kind: "created", ...kind.value } };
    default:
      return { ...event, content: { kind: "unknown" } };
  }
}

export function toConversation(wire: WireConversation | undefined): Conversation {
  if (!wire) throw new MartletError("INTERNAL", "the server named no conversation");
  const { id, title, peer, memberCount, firstSeq, lastSeq, unreadCount, lastEventTimeMs } = wire;
  return {
    id,
    title,
    peer,
    memberCount,
    firstSeq,
    lastSeq,
    unreadCount,
    lastEventTimeMs,
    kind: wire.kind === ConversationKind.CONVERSATION_KIND_DIRECT ? "direct" : "group",
    role:
      wire.role === Role.ROLE_OWNER ? "owner" : wire.role === Role.ROLE_ADMIN ? "admin" : "member",
    lastEvent: wire.lastEvent && toEvent(wire.lastEvent),
  };
}

function toItem(kind: NonNullable<WireItem["kind"]>): Item | undefined {
  switch (kind.$case) {
    case "reply": {
      const { requestId, result } = kind.value;
      if (result?.$case !== "error") return { kind: "reply", requestId, result, error: undefined };
      const { code, message, field, retryAfterMs } = result.value;
      const error = new MartletError(codes.get(code) ?? "INTERNAL", message, field, retryAfterMs);
      return { kind: "reply", requestId, result: undefined, error };
    }
    case "event":
      return { kind: "event", event: toEvent(kind.value) };
    case "welcome": {
      const { server, node, user, heartbeatMs, limits } = kind.value;
      const { bodyBytes, cursors } = limits ?? { bodyBytes: 16384, cursors: 500 };
      return { kind: "welcome", welcome: { server, node, user, heartbeatMs, bodyBytes, cursors } };
    }
    case "conversationState":
      return { kind: "state", conversation: toConversation(kind.value.conversation) };
    case "conversationJoined":
      return { kind: "joined", conversation: toConversation(kind.value.conversation) };
    case "resync":
      return { kind: "resync", ...kind.value };
    case "ready":
      return { kind: "ready" };
    case "tokenExpiring":
      return { kind: "tokenExpiring" };
    case "draining":
      return { kind: "draining", reconnectAfterMs: kind.value.reconnectAfterMs };
    default:
      return undefined;
  }
}

/** Throws on bytes that are no ServerFrame; leaves out items that this version does not know. */
export function decodeItems(bytes: Uint8Array): Item[] {
  return ServerFrame.decode(bytes).items.flatMap(({ kind }) => (kind && toItem(kind)) ?? []);
}
