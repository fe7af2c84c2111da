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
import type { Transport, TransportFactory } from "./transports/transport.ts";

/**
 *   [ idle ] --open--> [ connecting ] --Welcome--> [ connected ] --lost--> [ reconnecting ] --.
 *                            |                          ^                        |            |
 *                            | final close code         '------- Welcome --------'            |
 *                            v                                                                |
 *                       [ closed ] <----------------- close(), final close code --------------'
 */
export type ConnectionState = "idle" | "connecting" | "connected" | "reconnecting" | "closed";

export interface Clock {
  now(): number;
  setTimeout(run: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly getToken: (context: { fresh: boolean }) => Promise<string>;
  readonly device: string;
  readonly transport: TransportFactory;
  readonly clock: Clock;
  readonly random: () => number;
  /** How far the client has each conversation, the most important first. */
  readonly cursors: () => readonly Cursor[];
  readonly onState: (state: ConnectionState, retryInMs: number | undefined, reason: string) => void;
  readonly onWelcome: (welcome: Welcome) => void;
  /** Everything but replies. */
  readonly onItem: (item: Exclude<Item, { kind: "reply" }>) => void;
}

export interface Connection {
  readonly state: ConnectionState;
  open(): void;
  close(): void;
  /** Tries at once if it waits; asks the server for a sign of life if it is connected. */
  probe(): void;
  ask(command: Command): Promise<Result>;
}

const client = "martlet-web/0.1.0";
const welcomeMs = 5_000;
const replyMs = 10_000;
const probeMs = 2_000;
const stableMs = 10_000;
const retry = { minDelayMs: 300, maxDelayMs: 30_000 };

interface Waiting {
  resolve(result: Result): void;
  reject(error: Error): void;
  timer: unknown;
}

export function createConnection(options: ConnectionOptions): Connection {
  const { clock } = options;
  const waiting = new Map<number, Waiting>();
  let state: ConnectionState = "idle";
  let transport: Transport | undefined;
  let generation = 0;
  let attempt = 0;
  let lastRequestId = 0;
  let heartbeatMs = 25_000;
  let wantsFreshToken = false;
  let refusedTokens = 0;
  let waitAtLeastMs = 0;
  let connectedAt = 0;
  let deadline: unknown;
  let heartbeat: unknown;
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
  const stopTimers = () => {
    for (const timer of [deadline, heartbeat, retryTimer]) clock.clearTimeout(timer);
    deadline = heartbeat = retryTimer = undefined;
  };
  const letGo = () => {
    generation++;
    stopTimers();
    const old = transport;
    transport = undefined;
    old?.close();
  };

  const finish = (reason: string) => {
    letGo();
    rejectAll(new MartletError("CLOSED", reason));
    setState("closed", undefined, reason);
  };
  const scheduleRetry = (reason: string) => {
    const wasStable = connectedAt > 0 && clock.now() - connectedAt >= stableMs;
    if (wasStable) attempt = 0;
    connectedAt = 0;
    const delay = Math.max(waitAtLeastMs, retryDelayMs(attempt++, options.random, retry));
    waitAtLeastMs = 0;
    setState("reconnecting", delay, reason);
    retryTimer = clock.setTimeout(dial, delay);
  };
  const lost = (code: number, reason: string) => {
    if (state === "closed") return;
    const advice = adviceFor(code);
    letGo();
    rejectAll(new MartletError("CLOSED", reason || `closed with ${code}`));
    if (advice === "reconnect-with-fresh-token") {
      wantsFreshToken = true;
      if (code === 4002 && ++refusedTokens > 1)
        return finish(reason || "the token is not accepted");
    }
    if (advice === "stop") return finish(reason || `closed with ${code}`);
    scheduleRetry(reason);
  };

  const ask = (command: Command, timeoutMs = replyMs): Promise<Result> => {
    const pipe = transport;
    if (state !== "connected" || !pipe)
      return Promise.reject(new MartletError("CLOSED", "not connected"));
    lastRequestId = (lastRequestId % 0xffffffff) + 1;
    const id = lastRequestId;
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        waiting.delete(id);
        reject(new MartletError("TIMEOUT", "no answer in time"));
      }, timeoutMs);
      waiting.set(id, { resolve, reject, timer });
      pipe.send(encodeCommand(id, command));
    });
  };
  const ping = (timeoutMs: number) => {
    const mine = generation;
    ask({ $case: "ping", value: {} }, timeoutMs).catch((error: unknown) => {
      if (mine === generation && error instanceof MartletError && error.code === "TIMEOUT")
        lost(1006, "the server does not answer");
    });
  };
  const heard = () => {
    clock.clearTimeout(heartbeat);
    heartbeat = clock.setTimeout(() => ping(replyMs), heartbeatMs);
  };
  const refresh = async () => {
    const mine = generation;
    try {
      const token = await options.getToken({ fresh: true });
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
  const onItem = (item: Item) => {
    if (item.kind === "reply") return onReply(item);
    if (item.kind === "welcome") {
      clock.clearTimeout(deadline);
      heartbeatMs = item.welcome.heartbeatMs || heartbeatMs;
      refusedTokens = 0;
      connectedAt = clock.now();
      heard();
      options.onWelcome(item.welcome);
      setState("connected");
    } else if (item.kind === "draining") {
      waitAtLeastMs = item.reconnectAfterMs;
    } else if (item.kind === "tokenExpiring") {
      void refresh();
    }
    options.onItem(item);
  };
  const onFrame = (bytes: Uint8Array) => {
    let items: Item[];
    try {
      items = decodeItems(bytes);
    } catch {
      return lost(1006, "the server sent what is no frame");
    }
    heard();
    for (const item of items) onItem(item);
  };

  const dial = async () => {
    const mine = ++generation;
    const isMine = () => mine === generation && state !== "closed";
    clock.clearTimeout(retryTimer);
    // The token is part of the attempt: a callback that hangs must not hang the connection.
    deadline = clock.setTimeout(() => lost(1006, "no Welcome in time"), welcomeMs * 2);
    let token: string;
    try {
      token = await options.getToken({ fresh: wantsFreshToken });
    } catch (error) {
      if (isMine()) lost(1006, `no token: ${error instanceof Error ? error.message : error}`);
      return;
    }
    if (!isMine()) return;
    wantsFreshToken = false;
    clock.clearTimeout(deadline);
    deadline = clock.setTimeout(() => lost(1006, "no Welcome in time"), welcomeMs);
    transport = options.transport(options.url, {
      opened: () => {
        const hello = helloCommand(token, options.device, client, options.cursors());
        if (isMine()) transport?.send(encodeCommand(0, hello));
      },
      frame: (bytes) => isMine() && onFrame(bytes),
      closed: (code, reason) => isMine() && lost(code, reason),
    });
  };

  return {
    get state() {
      return state;
    },
    ask: (command) => ask(command),
    open() {
      if (state !== "idle") return;
      setState("connecting");
      void dial();
    },
    close() {
      if (state !== "closed") finish("closed by the client");
    },
    probe() {
      if (state === "connected") ping(probeMs);
      else if (state === "reconnecting" && !transport) {
        attempt = 0;
        void dial();
      }
    },
  };
}
