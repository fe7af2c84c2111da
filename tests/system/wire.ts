/** Clients below the SDK: every item as the server sent it, also what the SDK's codec does not know. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Command, encodeCommand } from "../../clients/web/src/codec.ts";
import {
  Code,
  type Cursor,
  type Item,
  PbfReader,
  type Reply,
  readServerFrame,
} from "../../clients/web/src/gen/martlet.js";
import { server, token, until } from "./support.ts";

export type { Command, Cursor, Item, Reply };

export interface Wire {
  readonly user: string;
  /** The process that serves it. */
  readonly node: string;
  /** All that came, in order. */
  readonly items: Item[];
  readonly isOpen: boolean;
  /** Sends a command; fails if the connection ends before its answer. */
  ask(command: Command): Promise<Reply>;
  send(bytes: Uint8Array): void;
  close(): Promise<void>;
  readonly closed: Promise<{ code: number; reason: string }>;
}

export interface WireOptions {
  device?: string;
  cursors?: Cursor[];
  /** Called with each item as it comes, before anything else sees it. */
  onItem?: (item: Item) => void;
}

const tokens = new Map<string, string>();

export function tokenOf(user: string): string {
  const known = tokens.get(user) ?? token(user);
  tokens.set(user, known);
  return known;
}

const wires = new Set<Wire>();

/** A session that is past Ready. */
export async function connect(user: string, options: WireOptions = {}): Promise<Wire> {
  const { device = "wire", cursors = [], onItem } = options;
  const signed = tokenOf(user);
  const socket = new WebSocket(server.url, ["martlet.v1"]);
  socket.binaryType = "arraybuffer";
  const items: Item[] = [];
  const waiting = new Map<
    number,
    { resolve: (reply: Reply) => void; reject: (e: Error) => void }
  >();
  let lastRequest = 0;
  let node = "";
  let isOpen = true;
  let isReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  socket.onmessage = ({ data }) => {
    for (const item of readServerFrame(new PbfReader(new Uint8Array(data))).items) {
      items.push(item);
      onItem?.(item);
      if (item.welcome) node = item.welcome.node;
      if (item.ready) isReady();
      if (!item.reply) continue;
      waiting.get(item.reply.requestId)?.resolve(item.reply);
      waiting.delete(item.reply.requestId);
    }
  };
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.onclose = ({ code, reason }) => {
      isOpen = false;
      wires.delete(one);
      for (const { reject } of waiting.values())
        reject(new Error(`${user}: closed with ${code} ${reason}`));
      resolve({ code, reason });
    };
  });
  const one: Wire = {
    user,
    items,
    closed,
    get node() {
      return node;
    },
    get isOpen() {
      return isOpen;
    },
    ask: (command) =>
      new Promise((resolve, reject) => {
        if (!isOpen) reject(new Error(`${user}: not open`));
        waiting.set(++lastRequest, { resolve, reject });
        socket.send(encodeCommand(lastRequest, command) as Uint8Array<ArrayBuffer>);
      }),
    send: (bytes) => socket.send(bytes as Uint8Array<ArrayBuffer>),
    close: async () => {
      socket.close();
      await closed;
    },
  };
  wires.add(one);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`${user}: no connection`));
  });
  const value = { token: signed, device, client: "test/1", cursors };
  socket.send(encodeCommand(0, { $case: "hello", value }) as Uint8Array<ArrayBuffer>);
  await Promise.race([
    ready,
    closed.then(({ code, reason }) => {
      throw new Error(`${user}: closed with ${code} ${reason} before Ready`);
    }),
  ]);
  return one;
}

/** A session on another worker than `than`. */
export async function connectElsewhere(
  user: string,
  than: Wire,
  options: WireOptions = {},
): Promise<Wire> {
  for (let i = 0; i < 100; i++) {
    const one = await connect(user, options);
    if (one.node !== than.node) return one;
    await one.close();
  }
  throw new Error("all connections fell to one worker");
}

export async function closeWires(): Promise<void> {
  await Promise.all([...wires].map((one) => one.close()));
}

const codes = new Map<number, string>(
  Object.entries(Code).map(([name, value]) => [value, name.slice("CODE_".length)]),
);

/** How a command ended: "OK", or the error's code by its name. */
export const codeOf = (reply: Reply): string =>
  reply.error ? (codes.get(reply.error.code) ?? `code ${reply.error.code}`) : "OK";

/** The number that a change or a message got; 0 if it changed nothing. */
export const seqOf = (reply: Reply): number => reply.change?.seq ?? reply.sendMessage?.seq ?? 0;

/** A command that must not be refused. */
export async function does(wire: Wire, command: Command): Promise<Reply> {
  const reply = await wire.ask(command);
  if (reply.error)
    throw new Error(
      `${command.$case}: ${codeOf(reply)} ${reply.error.field} ${reply.error.message}`,
    );
  return reply;
}

export const uuid = (): string => crypto.randomUUID();
export const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export async function createGroup(
  owner: Wire,
  members: string[],
  fields: { title?: string; announcement?: boolean; fullHistory?: boolean } = {},
): Promise<string> {
  const conversationId = uuid();
  const value = { conversationId, title: "A group", members, ...fields };
  await does(owner, { $case: "createGroup", value });
  return conversationId;
}

export async function openDirect(wire: Wire, user: string): Promise<string> {
  const reply = await does(wire, { $case: "openDirect", value: { user } });
  return reply.openDirect?.conversation?.id ?? "";
}

/** Sends one message and returns its number. */
export async function say(wire: Wire, conversationId: string, body: string): Promise<number> {
  const value = { conversationId, clientMessageId: uuid(), body: textBytes(body) };
  return seqOf(await does(wire, { $case: "sendMessage", value }));
}

/** Waits until a session has the event with this number. */
export async function untilSeen(
  wire: Wire,
  conversationId: string,
  seq: number,
  deadlineMs?: number,
): Promise<void> {
  const isSeen = () =>
    wire.items.some(({ event }) => event?.conversationId === conversationId && event.seq === seq);
  await until(`${wire.user} has event ${seq}`, isSeen, deadlineMs);
}

/** Asks PostgreSQL itself: rows of columns as text. */
export async function sql(query: string): Promise<string[][]> {
  const connection = process.env.MARTLET_TEST_DATABASE ?? "";
  const words = ["-XqAt", "-F", "\t", "-d", connection, "-c", query];
  const { stdout } = await promisify(execFile)("psql", words, { maxBuffer: 1e8 });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("\t"));
}

/** Numbers that are the same at each run: mulberry32. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
