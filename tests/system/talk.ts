/** Sessions that ask and are answered, in few words; on wire.ts. */
import assert from "node:assert/strict";
import type { Item, Reply } from "../../clients/web/src/gen/martlet.js";
import { until } from "./support.ts";
import { type Command, codeOf, connect, type Wire as Line } from "./wire.ts";

export { type Command, closeWires } from "./wire.ts";

type ValueOf<Kind extends keyof Item> = NonNullable<Item[Kind]>;

export interface Wire {
  readonly user: string;
  readonly node: string;
  /** Everything that came, in order. */
  readonly items: readonly Item[];
  readonly isClosed: () => boolean;
  /** The answer, which is of this kind. */
  ask<Kind extends keyof Reply>(
    command: Command,
    expected: Kind,
  ): Promise<NonNullable<Reply[Kind]>>;
  /** The name of the error's code, its field and its text. */
  refused(command: Command): Promise<{ code: string; field: string; message: string }>;
  /** All items of a kind so far. */
  all<Kind extends keyof Item>(kind: Kind): ValueOf<Kind>[];
  close(): void;
}

const talking = (line: Line): Wire => ({
  user: line.user,
  node: line.node,
  items: line.items,
  isClosed: () => !line.isOpen,
  all: (kind) =>
    line.items.flatMap((item) => (item[kind] ? [item[kind] as ValueOf<typeof kind>] : [])),
  async ask(command, expected) {
    const reply = await line.ask(command);
    assert.ok(reply[expected], JSON.stringify(reply));
    return reply[expected];
  },
  async refused(command) {
    const reply = await line.ask(command);
    assert.ok(reply.error, JSON.stringify(reply));
    return { ...reply.error, code: codeOf(reply) };
  },
  close: () => void line.close(),
});

/** A session that is ready, on whatever worker. */
export const wire = async (user: string, device = "wire"): Promise<Wire> =>
  talking(await connect(user, { device }));

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
export const presence = (status: number): Command => ({
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
