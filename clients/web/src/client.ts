import { type Clock, createTimers, systemClock } from "./clock.ts";
import { type ConnectionState, createConnection } from "./connection.ts";
import { MartletError } from "./errors.ts";
import { createEmitter, type Emitter } from "./events.ts";
import type { Conversation, ConversationEvent, HistoryPage, Sent, Welcome } from "./model.ts";
import { createOutbox, type Outgoing } from "./outbox.ts";
import { createPersistence } from "./persist.ts";
import { createSync } from "./sync.ts";
import type { GetToken } from "./token.ts";
import type { TransportFactory } from "./transports/transport.ts";
import { webSocket } from "./transports/websocket.ts";

export interface ClientOptions {
  /** "wss://chat.example/v1/ws" */
  readonly url: string;
  /**
   * Called for the first token and for fresh ones; one call is awaited at a time, for ten seconds, and then
   * told by its signal that it is not.
   */
  readonly getToken: GetToken;
  /** Names this installation; the same at each start. */
  readonly device: string;
  readonly transport?: TransportFactory;
  /** Messages that may wait for the server. */
  readonly outboxMost?: number;
  /**
   * Conversations known from before, and how far: resumed instead of begun anew. The most recently active
   * first, should they be more than the server takes.
   */
  readonly cursors?: ReadonlyMap<string, number>;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface ClientEvents {
  state: { state: ConnectionState; retryInMs: number | undefined; reason: string };
  /** A conversation is new to this client, or how it stands was told again. */
  conversation: Conversation;
  /** The next event of a conversation: in order, each once, none missing unless `gap` said so. */
  event: ConversationEvent;
  /** The events up to `seq` were too many to be sent, or are not there for this user: page the history. */
  gap: { conversationId: string; seq: number };
  /** Everything missed has been delivered. */
  ready: undefined;
}

export interface SendOptions {
  readonly contentType?: string;
  readonly replyToSeq?: number;
  /** The message's identity; made here if it is not given. */
  readonly clientMessageId?: string;
}

export interface Client extends Pick<Emitter<ClientEvents>, "on"> {
  readonly state: ConnectionState;
  /** Who and where, as the server's last Welcome had it. */
  readonly welcome: Welcome | undefined;
  connect(): void;
  close(): void;
  /** The network or the page came back: find out at once how the connection is. */
  probe(): void;
  /** Resolves once, with the message's number; waits while there is no connection. */
  send(conversationId: string, body: string | Uint8Array, options?: SendOptions): Promise<Sent>;
  readonly pending: readonly Outgoing[];
  openDirect(user: string): Promise<Conversation>;
  createGroup(title: string, members: readonly string[]): Promise<Conversation>;
  /** All of the user's conversations, the most recently active first. */
  conversations(): AsyncGenerator<Conversation>;
  /** One page: before or after a number, or the newest. */
  history(
    conversationId: string,
    from?: { before?: number; after?: number; limit?: number },
  ): Promise<HistoryPage>;
}

const retry = { minDelayMs: 300, maxDelayMs: 30_000 };

export function createClient(options: ClientOptions): Client {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const emitter = createEmitter<ClientEvents>();
  const outboxTimers = createTimers(clock);
  let welcome: Welcome | undefined;

  const connection = createConnection({
    url: options.url,
    device: options.device,
    getToken: options.getToken,
    transport: options.transport ?? webSocket(),
    clock,
    random,
    cursors: (most) => sync.cursors(most),
    onWelcome: (told) => {
      welcome = told;
    },
    onState: (state, retryInMs, reason) => {
      if (state !== "connected") {
        outbox.stop();
        outboxTimers.clear();
        sync.stop();
      }
      if (state === "closed") outbox.close();
      emitter.emit("state", { state, retryInMs, reason });
      // Last: what the transport says to it may already be the next state.
      if (state === "connected" && connection.state === state) outbox.start();
    },
    onItem: (item) => {
      sync.onItem(item);
      if (item.kind === "ready") emitter.emit("ready", undefined);
    },
  });

  const outbox = createOutbox(
    async (message) => {
      const most = welcome?.bodyBytes ?? 0;
      if (message.body.length > most) {
        const what = `${message.body.length} bytes are more than body_bytes (${most})`;
        throw new MartletError("INVALID_ARGUMENT", what, "body");
      }
      const result = await connection.ask({ $case: "sendMessage", value: message });
      if (result.$case !== "sendMessage") throw unexpected();
      return { seq: result.value.seq, timeMs: result.value.timeMs };
    },
    outboxTimers.start,
    options.outboxMost ?? 1000,
  );
  const unexpected = () => new MartletError("INTERNAL", "an answer to another question");

  const history: Client["history"] = async (conversationId, from = {}) => {
    const { before, after, limit = 0 } = from;
    const place =
      before !== undefined ? { beforeSeq: before } : after !== undefined ? { afterSeq: after } : {};
    const result = await connection.ask({
      $case: "getHistory",
      value: { conversationId, limit, ...place },
    });
    if (result.$case !== "getHistory") throw unexpected();
    return result.value;
  };

  async function* conversations(): AsyncGenerator<Conversation> {
    for (let page = "", more = true; more; ) {
      const value = { page, limit: 0 };
      const result = await connection.ask({ $case: "listConversations", value });
      if (result.$case !== "listConversations") throw unexpected();
      yield* result.value.conversations;
      page = result.value.nextPage;
      more = page !== "";
    }
  }
  /** After close() nothing is told any more, whatever was about to be. */
  const tell = <K extends keyof ClientEvents>(type: K, event: ClientEvents[K]) => {
    if (connection.state !== "closed") emitter.emit(type, event);
  };
  const sync = createSync({
    cursors: options.cursors ?? new Map(),
    persistence: createPersistence(clock, random, retry),
    resumeEvents: () => welcome?.resumeEvents ?? 0,
    history: (id, after) => history(id, { after }),
    conversations,
    onEvent: (event) => tell("event", event),
    onGap: (conversationId, seq) => tell("gap", { conversationId, seq }),
    onConversation: (conversation) => tell("conversation", conversation),
  });

  return {
    on: emitter.on,
    conversations,
    history,
    get state() {
      return connection.state;
    },
    get welcome() {
      return welcome;
    },
    get pending() {
      return outbox.pending;
    },
    connect: connection.open,
    close: connection.close,
    probe: connection.probe,
    send: (conversationId, body, send = {}) =>
      outbox.add({
        conversationId,
        clientMessageId: send.clientMessageId ?? crypto.randomUUID(),
        contentType: send.contentType ?? "",
        body: typeof body === "string" ? new TextEncoder().encode(body) : body,
        replyToSeq: send.replyToSeq ?? 0,
      }),
    async openDirect(user) {
      const result = await connection.ask({ $case: "openDirect", value: { user } });
      if (result.$case !== "openDirect") throw unexpected();
      return result.value.conversation;
    },
    async createGroup(title, members) {
      const result = await connection.ask({
        $case: "createGroup",
        value: { conversationId: crypto.randomUUID(), title, members: [...members] },
      });
      if (result.$case !== "createGroup") throw unexpected();
      return result.value.conversation;
    },
  };
}
