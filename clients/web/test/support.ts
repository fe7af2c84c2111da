/** What the SDK's tests share: a clock that is turned by hand, and the server's side of each connection. */
import { type ClientOptions, createClient } from "../src/client.ts";
import type { Clock } from "../src/clock.ts";
import {
  type ClientFrame,
  type Limits,
  PbfReader,
  PbfWriter,
  readClientFrame,
  type ServerFrame,
  writeServerFrame,
} from "../src/gen/martlet.js";
import type { ConversationEvent } from "../src/model.ts";
import type { TransportFactory, TransportHandlers } from "../src/transports/transport.ts";

export interface FakeClock extends Clock {
  turn(ms: number): Promise<void>;
  /** Timers that are set. */
  readonly waiting: number;
}

export function createFakeClock(): FakeClock {
  const timers = new Map<number, { due: number; run: () => void }>();
  let now = 0;
  let last = 0;
  return {
    now: () => now,
    get waiting() {
      return timers.size;
    },
    setTimeout(run, delayMs) {
      timers.set(++last, { due: now + delayMs, run });
      return last;
    },
    clearTimeout: (timer) => timers.delete(timer as number),
    async turn(ms) {
      const end = now + ms;
      for (;;) {
        await settle();
        const next = [...timers]
          .filter(([, t]) => t.due <= end)
          .sort((a, b) => a[1].due - b[1].due)[0];
        if (!next) break;
        timers.delete(next[0]);
        now = Math.max(now, next[1].due);
        next[1].run();
      }
      now = end;
    },
  };
}

/** Lets every promise that can go on go on. */
export const settle = async () => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

type Kind = { $case: string; value: unknown };

/** ServerFrames of items; a value may leave out fields. */
export function encodeItems(kinds: readonly Kind[]): Uint8Array {
  const writer = new PbfWriter();
  const items = kinds.map(({ $case, value }) => ({ [$case]: value }));
  writeServerFrame({ items } as unknown as ServerFrame, writer);
  return writer.finish();
}

/** Each command that came, in the shape that the codec's users have. */
export type Command = {
  [K in NonNullable<ClientFrame["command"]>]: { $case: K; value: NonNullable<ClientFrame[K]> };
}[NonNullable<ClientFrame["command"]>];

export interface Frame {
  readonly requestId: number;
  readonly command: Command;
  readonly bytes: number;
}

function decodeCommand(bytes: Uint8Array): Frame {
  const frame = readClientFrame(new PbfReader(bytes));
  const $case = frame.command ?? "ping";
  const command = { $case, value: frame[$case] } as Command;
  return { requestId: frame.requestId, command, bytes: bytes.length };
}

/** The server's side of one connection that the client made. */
export interface Wire {
  readonly handlers: TransportHandlers;
  readonly up: Frame[];
  closed: boolean;
  down(...kinds: Kind[]): void;
  /** Answers a command. */
  reply(frame: Frame | undefined, $case: string, value: unknown): void;
  /** The commands of one kind, in the order in which they came. */
  asked<K extends Command["$case"]>(
    $case: K,
  ): (Frame & { value: Extract<Command, { $case: K }>["value"] })[];
}

function createWire(handlers: TransportHandlers): Wire {
  const wire: Wire = {
    handlers,
    up: [],
    closed: false,
    down: (...kinds) => handlers.frame(encodeItems(kinds)),
    reply: (frame, $case, value) =>
      wire.down({ $case: "reply", value: { requestId: frame?.requestId, [$case]: value } }),
    asked: ($case) =>
      wire.up
        .filter(({ command }) => command.$case === $case)
        .map((frame) => ({ ...frame, value: frame.command.value })) as never,
  };
  return wire;
}

export interface SetUpOptions extends Partial<ClientOptions> {
  tokens?: (context: { fresh: boolean }) => Promise<string>;
}

export function setUp({ tokens, ...options }: SetUpOptions = {}) {
  const clock = createFakeClock();
  const wires: Wire[] = [];
  const fresh: boolean[] = [];
  const transport: TransportFactory = (_, handlers) => {
    const wire = createWire(handlers);
    wires.push(wire);
    return {
      send: (bytes) => wire.up.push(decodeCommand(bytes)),
      close: () => {
        wire.closed = true;
      },
    };
  };
  const client = createClient({
    url: "ws://test",
    device: "test",
    getToken: (context) => {
      fresh.push(context.fresh);
      return tokens ? tokens(context) : Promise.resolve("token");
    },
    transport,
    clock,
    random: () => 0.5,
    ...options,
  });
  const states: string[] = [];
  const events: ConversationEvent[] = [];
  const gaps: string[] = [];
  client.on("state", ({ state }) => states.push(state));
  client.on("event", (event) => events.push(event));
  client.on("gap", ({ conversationId, seq }) => gaps.push(`${conversationId} ${seq}`));
  const wire = () => wires.at(-1) as Wire;
  const welcome = (limits?: Partial<Limits>) =>
    wire().down({
      $case: "welcome",
      value: { server: "s", node: "n.1", user: "alice", heartbeatMs: 25_000, limits },
    });
  /** The attempt that is under way succeeds. */
  const accept = async (limits?: Partial<Limits>) => {
    await settle();
    wire().handlers.opened();
    welcome(limits);
    await settle();
  };
  const connect = async (limits?: Partial<Limits>) => {
    client.connect();
    await accept(limits);
  };
  /** The connection breaks, and the next one succeeds. */
  const reconnect = async (limits?: Partial<Limits>) => {
    wire().handlers.closed(1006, "");
    client.probe();
    await accept(limits);
  };
  const seqs = (conversationId?: string) =>
    events
      .filter((event) => !conversationId || event.conversationId === conversationId)
      .map(({ seq }) => seq);
  return {
    ...{ clock, client, wires, wire, welcome, accept, connect, reconnect },
    ...{ states, events, gaps, seqs, fresh },
  };
}

export const message = (seq: number, conversationId = "c", timeMs = 0) => ({
  $case: "event",
  value: {
    conversationId,
    seq,
    sender: "bob",
    timeMs,
    message: { clientMessageId: `m${seq}`, contentType: "", body: new Uint8Array([1]) },
  },
});

/** A page of history with the events of these numbers. */
export const page = (seqs: readonly number[], hasMore = false, conversationId = "c") => ({
  events: seqs.map((seq) => message(seq, conversationId).value),
  hasMore,
});

export const conversation = (id: string, lastSeq: number, more: object = {}) => ({
  ...{ id, kind: 2, title: id, role: 1, firstSeq: 1, lastSeq, lastEventTimeMs: lastSeq },
  ...more,
});

export const state = (id: string, lastSeq: number, more: object = {}) => ({
  $case: "conversationState",
  value: { conversation: conversation(id, lastSeq, more) },
});
