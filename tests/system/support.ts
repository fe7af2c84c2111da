/** What the system tests share: the server under test (tests/harness/test starts it), clients of it. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import {
  type Command,
  decodeItems,
  encodeCommand,
  type Item,
} from "../../clients/web/src/codec.ts";
import {
  type Client,
  type ClientOptions,
  type ConversationEvent,
  createClient,
  webSocket,
} from "../../clients/web/src/index.ts";
import { createViews, type Views } from "../../clients/web/src/view.ts";

const required = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run these tests with make test-system`);
  return value;
};

export const server = {
  url: required("MARTLET_WEBSOCKET"),
  admin: required("MARTLET_ADMIN"),
  http: required("MARTLET_HTTP"),
  config: required("MARTLET_CONFIG"),
  binary: required("MARTLET_BINARY"),
  /** Where the harness keeps the process ids. */
  folder: required("MARTLET_FOLDER"),
};

/** A token from the program itself. */
export function token(user: string, ...more: string[]): string {
  const words = ["token", "--user", user, "-c", server.config, ...more];
  return execFileSync(server.binary, words, { encoding: "utf8" }).trim();
}

/** Waits for a condition, not for a time. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  deadlineMs = 20_000,
): Promise<NonNullable<T>> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

let lastUser = 0;
const run = Math.random().toString(36).slice(2, 8);

/** A user that no other test has. */
export const freshUser = (name: string): string => `${name}-${run}-${++lastUser}`;

export interface Person {
  readonly user: string;
  readonly client: Client;
  /** What the client delivered, by conversation. */
  readonly seen: Map<string, ConversationEvent[]>;
  /** What it makes of that. */
  readonly views: Views;
  /** Where a membership ended, by conversation. */
  readonly left: ReadonlyMap<string, number>;
  /** Breaks the connection and lets none be made, or lets it come back. */
  setOffline(offline: boolean): void;
  /** The conversations that it was told of. */
  readonly known: ReadonlySet<string>;
  /** Its connections so far; closing the last one is what a broken network does. */
  readonly sockets: WebSocket[];
}

const people: Person[] = [];
const raws: Raw[] = [];

export async function person(
  user: string,
  options: Partial<ClientOptions> = {},
  device = "test",
): Promise<Person> {
  const signed = token(user);
  let readies = 0;
  const seen = new Map<string, ConversationEvent[]>();
  const known = new Set<string>();
  const left = new Map<string, number>();
  const sockets: WebSocket[] = [];
  let isOffline = false;
  class Kept extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      if (isOffline) throw new Error("offline");
      super(url, protocols);
      sockets.push(this);
    }
  }
  const client = createClient({
    url: server.url,
    device,
    getToken: async () => signed,
    transport: webSocket(Kept),
    ...options,
  });
  const views = createViews(client, user);
  const one: Person = {
    ...{ user, client, seen, views, left, known, sockets },
    setOffline(offline) {
      isOffline = offline;
      if (offline) sockets.at(-1)?.close();
      else client.probe();
    },
  };
  client.on("left", ({ conversationId, lastSeq }) => left.set(conversationId, lastSeq));
  client.on("conversation", ({ id }) => known.add(id));
  client.on("event", (event) => {
    const list = seen.get(event.conversationId) ?? [];
    list.push(event);
    seen.set(event.conversationId, list);
  });
  client.on("ready", () => {
    readies++;
  });
  people.push(one);
  client.connect();
  await until(`${user} is ready`, () => readies > 0);
  return one;
}

/** A second person of another worker than the first. */
export async function personElsewhere(
  user: string,
  than: Person,
  device = "test",
): Promise<Person> {
  for (let i = 0; i < 100; i++) {
    const one = await person(user, {}, device);
    if (one.client.welcome?.node !== than.client.welcome?.node) return one;
    one.client.close();
  }
  throw new Error("all connections fell to one worker");
}

export function closeAll(): void {
  for (const one of people.splice(0)) one.client.close();
  for (const one of raws.splice(0)) one.close();
}

export const bodies = (events: readonly ConversationEvent[] = []): string[] =>
  events.flatMap(({ content }) =>
    content.kind === "message" ? [new TextDecoder().decode(content.body)] : [],
  );

export const pidOf = (name: string): number =>
  Number(readFileSync(`${server.folder}/${name}`, "utf8").split("\n")[0]);

export const workers = (): number[] => {
  const pid = pidOf("martlet.pid");
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
};

/** A WebSocket below the SDK, to send what the SDK never would. */
export interface Raw {
  send(bytes: Uint8Array | string): void;
  command(requestId: number, command: Command): void;
  readonly items: Item[];
  readonly closed: Promise<{ code: number; reason: string }>;
  reply(requestId: number): Promise<Extract<Item, { kind: "reply" }>>;
  close(): void;
}

export async function raw(options: { protocols?: string[] } = {}): Promise<Raw> {
  const socket = new WebSocket(server.url, options.protocols ?? ["martlet.v1"]);
  const items: Item[] = [];
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => items.push(...decodeItems(new Uint8Array(event.data)));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.onclose = (event) => resolve({ code: event.code, reason: event.reason });
  });
  await new Promise((resolve) => {
    socket.onopen = resolve;
    socket.onerror = resolve;
  });
  const one: Raw = {
    items,
    closed,
    send: (bytes) => socket.send(bytes as Uint8Array<ArrayBuffer>),
    command: (requestId, command) => one.send(encodeCommand(requestId, command)),
    reply: (requestId) =>
      until(`reply ${requestId}`, () =>
        items.find((item) => item.kind === "reply" && item.requestId === requestId),
      ) as Promise<Extract<Item, { kind: "reply" }>>,
    close: () => socket.close(),
  };
  raws.push(one);
  return one;
}

export const hello = (signed: string): Command => ({
  $case: "hello",
  value: {
    token: signed,
    device: "raw",
    client: "test/1",
    protocolMin: 1,
    protocolMax: 1,
    features: [],
    cursors: [],
  },
});

/** Past Hello. */
export async function rawSession(user: string): Promise<Raw> {
  const one = await raw();
  one.command(0, hello(token(user)));
  await until("ready", () => one.items.some((item) => item.kind === "ready"));
  return one;
}
