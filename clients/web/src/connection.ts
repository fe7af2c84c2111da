import type { Clock } from "./clock.ts";
import {
  type Command,
  decodeItems,
  encodeCommand,
  helloCommand,
  type Item,
  type Result,
} from "./codec.ts";
import { adviceFor } from "./codes.ts";
import { MartletError } from "./errors.ts";
import type { Cursor, Welcome } from "./model.ts";
import { retryDelayMs } from "./retry.ts";
import { createTokenSource, type GetToken } from "./token.ts";
import type { Transport, TransportFactory } from "./transports/transport.ts";

/**
 *   [ idle ] --open--> [ connecting ] --Welcome--> [ connected ] --lost--> [ reconnecting ] --.
 *                            |                          ^                        |            |
 *                            | final close code         '------- Welcome --------'            |
 *                            v                                                                |
 *                       [ closed ] <----------------- close(), final close code --------------'
 */
export type ConnectionState = "idle" | "connecting" | "connected" | "reconnecting" | "closed";

export interface ConnectionOptions {
  readonly url: string;
  readonly getToken: GetToken;
  readonly device: string;
  readonly transport: TransportFactory;
  readonly clock: Clock;
  readonly random: () => number;
  /** How far the client has each conversation: at most so many, the most important ones. */
  readonly cursors: (most: number) => readonly Cursor[];
  readonly onState: (state: ConnectionState, retryInMs: number | undefined, reason: string) => void;
  readonly onWelcome: (welcome: Welcome) => void;
  /** What is told of conversations. */
  readonly onItem: (item: Item) => void;
}

export interface Connection {
  readonly state: ConnectionState;
  open(): void;
  close(): void;
  /** Tries at once if it waits; asks the server for a sign of life if it is connected. */
  probe(): void;
  ask(command: Command): Promise<Result>;
  /** Says what needs no answer; false if it could not be said. */
  tell(command: Command): boolean;
}

const client = "martlet-web/0.1.0";
const tokenMs = 10_000;
const welcomeMs = 5_000;
const replyMs = 10_000;
const probeMs = 2_000;
const stableMs = 10_000;
/** The least that a server may ask for: a heartbeat of nothing would be a storm. */
const heartbeatLeastMs = 1_000;
const retry = { minDelayMs: 300, maxDelayMs: 30_000 };

interface Waiting {
  readonly bytes: number;
  resolve(result: Result): void;
  reject(error: Error): void;
  timer: unknown;
}

const tooLarge = (what: string) => new MartletError("INVALID_ARGUMENT", what);

export function createConnection(options: ConnectionOptions): Connection {
  const { clock } = options;
  const tokens = createTokenSource(options.getToken, clock, tokenMs);
  const waiting = new Map<number, Waiting>();
  let state: ConnectionState = "idle";
  let transport: Transport | undefined;
  /** Every attempt has its own; what belongs to an earlier one finds that it is not the present one. */
  let generation = 0;
  let attempt = 0;
  let lastRequestId = 0;
  let limits = { frameBytes: 65536, cursors: 500 };
  let heartbeatMs = 25_000;
  let wantsFreshToken = false;
  let refusedTokens = 0;
  /** The cursors of the last Hello, and how many it may have since a larger one was refused with 1009. */
  let cursorsSent = 0;
  let cursorsMost = Number.POSITIVE_INFINITY;
  /** The server's own delay. */
  let waitAtLeastMs = 0;
  let notBefore = 0;
  let connectedAt = 0;
  let framesHeard = 0;
  let deadline: unknown;
  let heartbeat: unknown;
  /** Set while it waits for the next attempt, and only then. */
  let retryTimer: unknown;

  const setState = (next: ConnectionState, retryInMs?: number, reason = "") => {
    state = next;
    options.onState(next, retryInMs, reason);
  };
  const rejectAll = (error: MartletError) => {
    for (const entry of waiting.values()) {
      clock.clearTimeout(entry.timer);
      entry.reject(error);
    }
    waiting.clear();
  };
  const letGo = () => {
    generation++;
    for (const timer of [deadline, heartbeat, retryTimer]) clock.clearTimeout(timer);
    deadline = heartbeat = retryTimer = undefined;
    const old = transport;
    transport = undefined;
    old?.close();
  };

  const finish = (reason: string) => {
    letGo();
    tokens.abandon(reason);
    rejectAll(new MartletError("CLOSED", reason));
    setState("closed", undefined, reason);
  };
  const scheduleRetry = (reason: string) => {
    const wasStable = connectedAt > 0 && clock.now() - connectedAt >= stableMs;
    if (wasStable) attempt = 0;
    connectedAt = 0;
    const delay = Math.max(waitAtLeastMs, retryDelayMs(attempt++, options.random, retry));
    notBefore = clock.now() + waitAtLeastMs;
    waitAtLeastMs = 0;
    // Before the state is told: who hears it may probe, or close.
    retryTimer = clock.setTimeout(dial, delay);
    setState("reconnecting", delay, reason);
  };
  /** 1009: what was too large is not said again. Which one it was is not told; the largest must be. */
  const giveUpLargest = () => {
    const [largest] = [...waiting].sort(([, a], [, b]) => b.bytes - a.bytes);
    if (!largest) return;
    const [id, entry] = largest;
    waiting.delete(id);
    clock.clearTimeout(entry.timer);
    entry.reject(tooLarge(`a command of ${entry.bytes} bytes was refused as too large`));
  };
  const lost = (code: number, reason: string) => {
    if (state === "closed") return;
    const advice = adviceFor(code);
    const wasConnected = state === "connected";
    const why = reason || `closed with ${code}`;
    letGo();
    if (code === 1009 && wasConnected) giveUpLargest();
    rejectAll(new MartletError("CLOSED", why));
    if (code === 1009 && !wasConnected) {
      if (!cursorsSent) return finish(why);
      cursorsMost = cursorsSent >> 1;
    }
    if (advice === "reconnect-with-fresh-token") {
      wantsFreshToken = true;
      if (code === 4002 && ++refusedTokens > 1)
        return finish(reason || "the token is not accepted");
    }
    if (advice === "stop") return finish(why);
    scheduleRetry(reason);
  };

  const push = (bytes: Uint8Array) => {
    try {
      transport?.send(bytes);
    } catch (error) {
      lost(1006, String(error));
    }
  };
  const ask = async (command: Command, timeoutMs = replyMs): Promise<Result> => {
    if (state !== "connected") throw new MartletError("CLOSED", "not connected");
    lastRequestId = (lastRequestId % 0xffffffff) + 1;
    const id = lastRequestId;
    const bytes = encodeCommand(id, command);
    if (bytes.length > limits.frameBytes)
      throw tooLarge(`${bytes.length} bytes are more than frame_bytes (${limits.frameBytes})`);
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        waiting.delete(id);
        reject(new MartletError("TIMEOUT", "no answer in time"));
      }, timeoutMs);
      waiting.set(id, { bytes: bytes.length, resolve, reject, timer });
      push(bytes);
    });
  };
  const ping = (timeoutMs: number) => {
    const mine = generation;
    const before = framesHeard;
    ask({ $case: "ping", value: {} }, timeoutMs).catch(() => {
      // Whatever came is a sign of life: the answer may stand behind much else.
      if (mine === generation && before === framesHeard) lost(1006, "the server does not answer");
    });
  };
  const heard = () => {
    framesHeard++;
    clock.clearTimeout(heartbeat);
    heartbeat = clock.setTimeout(() => ping(replyMs), heartbeatMs);
  };
  const refresh = async () => {
    const mine = generation;
    try {
      const token = await tokens.get(true);
      if (mine === generation) await ask({ $case: "refreshToken", value: { token } });
    } catch {
      // Then the session ends with 4003, and the next one begins with a fresh token.
    }
  };

  const onReply = (item: Extract<Item, { kind: "reply" }>) => {
    const entry = waiting.get(item.requestId);
    waiting.delete(item.requestId);
    clock.clearTimeout(entry?.timer);
    if (item.error) entry?.reject(item.error);
    else if (item.result) entry?.resolve(item.result);
    else entry?.reject(new MartletError("INTERNAL", "an answer of a kind unknown to this client"));
  };
  const onWelcome = (welcome: Welcome) => {
    clock.clearTimeout(deadline);
    limits = welcome;
    heartbeatMs = Math.max(heartbeatLeastMs, welcome.heartbeatMs || heartbeatMs);
    refusedTokens = 0;
    wantsFreshToken = false;
    connectedAt = clock.now();
    options.onWelcome(welcome);
    setState("connected");
  };
  const onItem = (item: Item) => {
    // Welcome is the first item of a session, and comes once; only a farewell may come before.
    if (item.kind !== "draining" && (item.kind === "welcome") === (state === "connected"))
      return lost(1006, "the server speaks out of turn");
    if (item.kind === "reply") return onReply(item);
    if (item.kind === "welcome") return onWelcome(item.welcome);
    if (item.kind === "draining") waitAtLeastMs = item.reconnectAfterMs;
    else if (item.kind === "tokenExpiring") void refresh();
    else options.onItem(item);
  };
  const onFrame = (bytes: Uint8Array) => {
    const mine = generation;
    let items: Item[];
    try {
      items = decodeItems(bytes);
    } catch (error) {
      return lost(1006, `the server sent what is no frame: ${error}`);
    }
    // Who hears of one item may close; then the rest is not for anybody.
    for (const item of items) if (mine === generation) onItem(item);
    if (mine === generation && state === "connected") heard();
  };

  const sayHello = (token: string) => {
    for (let most = Math.min(limits.cursors, cursorsMost); ; most >>= 1) {
      const cursors = options.cursors(most);
      const hello = encodeCommand(0, helloCommand(token, options.device, client, cursors));
      if (hello.length > limits.frameBytes && cursors.length) continue;
      cursorsSent = cursors.length;
      return push(hello);
    }
  };
  /** One attempt; it is the only one, since every other is over when its number is taken. */
  const dial = async () => {
    clock.clearTimeout(retryTimer);
    retryTimer = undefined;
    const mine = ++generation;
    const isMine = () => mine === generation;
    try {
      const token = await tokens.get(wantsFreshToken);
      if (!isMine()) return;
      deadline = clock.setTimeout(() => lost(1006, "no Welcome in time"), welcomeMs);
      transport = options.transport(options.url, {
        opened: () => isMine() && sayHello(token),
        frame: (bytes) => isMine() && onFrame(bytes),
        closed: (code, reason) => isMine() && lost(code, reason),
      });
    } catch (error) {
      if (isMine()) lost(1006, `no connection: ${error instanceof Error ? error.message : error}`);
    }
  };

  const connection: Connection = {
    get state() {
      return state;
    },
    ask: (command) => ask(command),
    tell(command) {
      if (state !== "connected") return false;
      push(encodeCommand(0, command));
      return true;
    },
    open() {
      if (state !== "idle") return;
      setState("connecting");
      // Who hears of it may close.
      if (connection.state !== "closed") void dial();
    },
    close() {
      if (state !== "closed") finish("closed by the client");
    },
    probe() {
      if (state === "connected") return ping(probeMs);
      // An attempt that is under way is not disturbed: it has its own deadline.
      if (retryTimer === undefined) return;
      attempt = 0;
      clock.clearTimeout(retryTimer);
      const delay = notBefore - clock.now();
      retryTimer = delay > 0 ? clock.setTimeout(dial, delay) : undefined;
      if (delay <= 0) void dial();
    },
  };
  return connection;
}
