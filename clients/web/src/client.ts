import { type Clock, createTimers, systemClock } from "./clock.ts";
import { type ConnectionState, createConnection } from "./connection.ts";
import { MartletError } from "./errors.ts";
import { createEmitter, type Emitter } from "./events.ts";
import { type ConversationLog, createLog } from "./log.ts";
import type { Conversation, ConversationEvent, HistoryPage, Sent, Welcome } from "./model.ts";
import { createOutbox, type Outgoing } from "./outbox.ts";
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
  /** Conversations known from before, and how far: resumed instead of begun anew. */
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
  /** The events up to `seq` were too many to be sent: page the history. */
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

export function createClient(options: ClientOptions): Client {
  const clock = options.clock ?? systemClock;
  const emitter = createEmitter<ClientEvents>();
  const logs = new Map<string, ConversationLog>();
  const fetching = new Set<string>();
  const outboxTimers = createTimers(clock);
  let welcome: Welcome | undefined;

  for (const [id, seq] of options.cursors ?? []) logs.set(id, createLog(seq));

  /** After close() nothing is told any more, whatever was about to be. */
  const tell = <K extends keyof ClientEvents>(type: K, event: ClientEvents[K]) => {
    if (connection.state !== "closed") emitter.emit(type, event);
  };
  const deliver = (events: readonly ConversationEvent[]) => {
    for (const event of events) tell("event", event);
  };
  const fetchHole = async (id: string, log: ConversationLog) => {
    if (fetching.has(id)) return;
    fetching.add(id);
    try {
      // The rest of the message that told of it may close it.
      await Promise.resolve();
      for (let after = log.hole(); after !== undefined; after = log.hole()) {
        const page = await history(id, { after });
        for (const event of page.events) deliver(log.take(event));
        if (log.seq === after) break;
      }
    } catch {
      // The next event, or the next resume, finds the hole again.
    } finally {
      fetching.delete(id);
    }
  };
  const onEvent = (event: ConversationEvent) => {
    const log = logs.get(event.conversationId) ?? createLog(event.seq - 1);
    logs.set(event.conversationId, log);
    deliver(log.take(event));
    if (log.hole() !== undefined) void fetchHole(event.conversationId, log);
  };
  const learn = (conversation: Conversation, after: number) => {
    if (!logs.has(conversation.id)) logs.set(conversation.id, createLog(after));
    tell("conversation", conversation);
  };
  const onResync = (id: string, lastSeq: number) => {
    // A cursor beyond the server's log is of no use: the server's word counts.
    const log = createLog(lastSeq);
    logs.set(id, log);
    tell("gap", { conversationId: id, seq: lastSeq });
  };

  const connection = createConnection({
    url: options.url,
    device: options.device,
    getToken: options.getToken,
    transport: options.transport ?? webSocket(),
    clock,
    random: options.random ?? Math.random,
    cursors: (most) =>
      [...logs].slice(0, most).map(([conversationId, log]) => ({
        conversationId,
        seq: log.seq,
      })),
    onWelcome: (told) => {
      welcome = told;
    },
    onState: (state, retryInMs, reason) => {
      if (state !== "connected") {
        outbox.stop();
        outboxTimers.clear();
      }
      if (state === "closed") outbox.close();
      emitter.emit("state", { state, retryInMs, reason });
      // Last: what the transport says to it may already be the next state.
      if (state === "connected" && connection.state === state) outbox.start();
    },
    onItem: (item) => {
      if (item.kind === "event") onEvent(item.event);
      else if (item.kind === "state") learn(item.conversation, item.conversation.lastSeq);
      else if (item.kind === "joined") learn(item.conversation, item.conversation.firstSeq - 1);
      else if (item.kind === "resync") onResync(item.conversationId, item.lastSeq);
      else if (item.kind === "ready") emitter.emit("ready", undefined);
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

  return {
    on: emitter.on,
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
    async *conversations() {
      for (let page = "", more = true; more; ) {
        const result = await connection.ask({
          $case: "listConversations",
          value: { page, limit: 0 },
        });
        if (result.$case !== "listConversations") throw unexpected();
        yield* result.value.conversations;
        page = result.value.nextPage;
        more = page !== "";
      }
    },
  };
}
