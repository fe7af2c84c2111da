/** Clients below the SDK: what is sent and what comes, as the generated code has it. */
import assert from "node:assert/strict";
import { Code } from "../../clients/web/src/gen/martlet/v1/error.ts";
import {
  ClientFrame,
  type Item,
  type Reply,
  ServerFrame,
} from "../../clients/web/src/gen/martlet/v1/frame.ts";
import type { PresenceStatus } from "../../clients/web/src/gen/martlet/v1/signals.ts";
import { server, token, until } from "./support.ts";

export type Command = NonNullable<ClientFrame["command"]>;
export type Kind = NonNullable<Item["kind"]>;
export type Result = NonNullable<Reply["result"]>;
type ValueOf<Case extends Kind["$case"]> = Extract<Kind, { $case: Case }>["value"];
type ResultOf<Case extends Result["$case"]> = Extract<Result, { $case: Case }>["value"];

export interface Wire {
  readonly user: string;
  readonly node: string;
  /** Everything that came, in order. */
  readonly items: Kind[];
  readonly isClosed: () => boolean;
  /** The answer, which is of this kind. */
  ask<Case extends Result["$case"]>(command: Command, expected: Case): Promise<ResultOf<Case>>;
  /** The name of the error's code, its field and its text. */
  refused(command: Command): Promise<{ code: string; field: string; message: string }>;
  /** All items of a kind so far. */
  all<Case extends Kind["$case"]>(kind: Case): ValueOf<Case>[];
  close(): void;
}

const wires = new Set<Wire>();

export function closeWires(): void {
  for (const wire of wires) wire.close();
  wires.clear();
}

const nameOf = (code: number): string =>
  Object.entries(Code)
    .find(([, value]) => value === code)?.[0]
    .replace("CODE_", "") ?? String(code);

/** A session that is ready, on whatever worker. */
export async function wire(user: string, device = "wire"): Promise<Wire> {
  const socket = new WebSocket(server.url, ["martlet.v1"]);
  const items: Kind[] = [];
  let lastId = 0;
  let closed = false;
  socket.binaryType = "arraybuffer";
  socket.onclose = () => {
    closed = true;
  };
  socket.onmessage = ({ data }) => {
    for (const { kind } of ServerFrame.decode(new Uint8Array(data)).items)
      if (kind) items.push(kind);
  };
  const all = <Case extends Kind["$case"]>(kind: Case) =>
    items.flatMap((item) => (item.$case === kind ? [item.value as ValueOf<Case>] : []));
  const reply = async (command: Command): Promise<Result> => {
    const requestId = ++lastId;
    socket.send(ClientFrame.encode({ requestId, command }).finish() as Uint8Array<ArrayBuffer>);
    const { result } = await until(`${user}: ${command.$case} is answered`, () =>
      all("reply").find((one) => one.requestId === requestId),
    );
    assert.ok(result);
    return result;
  };
  await new Promise((resolve) => {
    socket.onopen = resolve;
    socket.onerror = resolve;
  });
  const value = { token: token(user), device, client: "test/1", protocolMin: 1, protocolMax: 1 };
  const hello: Command = { $case: "hello", value: { ...value, features: [], cursors: [] } };
  socket.send(ClientFrame.encode({ requestId: 0, command: hello }).finish() as never);
  await until(`${user} is ready`, () => all("ready").length > 0);
  const one: Wire = {
    user,
    node: all("welcome")[0]?.node ?? "",
    items,
    isClosed: () => closed,
    all,
    async ask(command, expected) {
      const result = await reply(command);
      assert.equal(result.$case, expected, JSON.stringify(result));
      return result.value as never;
    },
    async refused(command) {
      const result = await reply(command);
      assert.ok(result.$case === "error", JSON.stringify(result));
      return { ...result.value, code: nameOf(result.value.code) };
    },
    close: () => socket.close(),
  };
  wires.add(one);
  return one;
}

/** The same on a worker for which `isRight` holds. */
async function wireWhere(
  user: string,
  device: string,
  isRight: (node: string) => boolean,
): Promise<Wire> {
  for (let i = 0; i < 100; i++) {
    const one = await wire(user, device);
    if (isRight(one.node)) return one;
    one.close();
  }
  throw new Error("all connections fell to the wrong worker");
}

export const wireOn = (node: string, user: string, device = "wire"): Promise<Wire> =>
  wireWhere(user, device, (its) => its === node);

export const wireNotOn = (node: string, user: string, device = "wire"): Promise<Wire> =>
  wireWhere(user, device, (its) => its !== node);

/** A group of these, whose owner is the first; all of them have it when this returns. */
export async function makeGroup(owner: Wire, others: Wire[], more: string[] = []): Promise<string> {
  const conversationId = crypto.randomUUID();
  const members = [...others.map(({ user }) => user), ...more];
  const value = { conversationId, title: "Group", members, announcement: false };
  await owner.ask({ $case: "createGroup", value: { ...value, fullHistory: false } }, "createGroup");
  for (const one of [owner, ...others]) await joined(one, conversationId);
  return conversationId;
}

export async function openDirect(one: Wire, other: Wire): Promise<string> {
  const { conversation } = await one.ask(direct(other.user), "openDirect");
  const id = conversation?.id ?? "";
  for (const side of [one, other]) await joined(side, id);
  return id;
}

/** Until events reach this session: it has the conversation and its first event. */
async function joined(one: Wire, id: string): Promise<void> {
  await until(`${one.user} has joined`, () =>
    one.all("event").some((e) => e.conversationId === id),
  );
}

/** Commands. */
export const direct = (user: string): Command => ({ $case: "openDirect", value: { user } });
export const block = (user: string): Command => ({ $case: "blockUser", value: { user } });
export const unblock = (user: string): Command => ({ $case: "unblockUser", value: { user } });
export const watch = (...users: string[]): Command => ({
  $case: "watchPresence",
  value: { users },
});
export const unwatch = (...users: string[]): Command => ({
  $case: "unwatchPresence",
  value: { users },
});
export const presence = (status: PresenceStatus): Command => ({
  $case: "setPresence",
  value: { status },
});
export const typing = (conversationId: string, isTyping = true): Command => ({
  $case: "setTyping",
  value: { conversationId, typing: isTyping },
});
export const message = (conversationId: string): Command => ({
  $case: "sendMessage",
  value: {
    conversationId,
    clientMessageId: crypto.randomUUID(),
    contentType: "",
    body: new Uint8Array([1]),
    replyToSeq: 0,
    mentions: [],
  },
});

/** Sends a message, and waits until these have it: what was sent before has come, if it was to. */
export async function settle(from: Wire, conversationId: string, others: Wire[]): Promise<void> {
  const { seq } = await from.ask(message(conversationId), "sendMessage");
  for (const one of others)
    await until(`${one.user} has ${seq}`, () =>
      one.all("event").some((e) => e.conversationId === conversationId && e.seq >= seq),
    );
}
