import { type Clock, createTimers, systemClock } from "./clock.ts";
import { type Commands, type ContentOptions, createCommands, toBytes } from "./commands.ts";
import { type ConnectionState, createConnection } from "./connection.ts";
import { createDeliveredMarks } from "./delivered.ts";
import { MartletError } from "./errors.ts";
import { createEmitter, type Emitter } from "./events.ts";
import type {
  Conversation,
  ConversationEvent,
  Mark,
  Presence,
  ReceiptChanged,
  Sent,
  TypingChanged,
  Welcome,
} from "./model.ts";
import { createOutbox, type Outgoing } from "./outbox.ts";
import { createPersistence } from "./persist.ts";
import { createPresences } from "./presence.ts";
import { createSync } from "./sync.ts";
import type { GetToken } from "./token.ts";
import type { TransportFactory } from "./transports/transport.ts";
import { webSocket } from "./transports/websocket.ts";
import { createTyping } from "./typing.ts";

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
  /** Tells by itself how far this client has received each conversation; true if it is not given. */
  readonly autoDelivered?: boolean;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** What this client changes by itself (marks, mutes, blocks) is told as if another session had done it. */
export interface ClientEvents {
  state: { state: ConnectionState; retryInMs: number | undefined; reason: string };
  /** A conversation is new to this client, or how it stands was told again. */
  conversation: Conversation;
  /** The next event of a conversation: in order, each once, none missing unless `gap` said so. */
  event: ConversationEvent;
  /** The events up to `seq` were too many to be sent, or are not there for this user: page the history. */
  gap: { conversationId: string; seq: number };
  /**
   * The user is no member of a conversation any more: it ends with `lastSeq`, which has been delivered; 0 if it is
   * none of the user's at all.
   */
  left: { conversationId: string; lastSeq: number };
  /** A member has more of a conversation than before; also this user, here or on another device. */
  receipt: ReceiptChanged;
  typing: TypingChanged;
  /** Of a watched user: how it is now. */
  presence: Presence;
  mute: { conversationId: string; untilMs: number };
  block: { user: string; blocked: boolean };
  /** Everything missed has been delivered. */
  ready: undefined;
}

export interface SendOptions extends ContentOptions {
  readonly replyToSeq?: number;
  /** The message's identity; made here if it is not given. */
  readonly clientMessageId?: string;
}

export interface Client extends Pick<Emitter<ClientEvents>, "on">, Commands {
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
  /** To be called with each key: it is said at most once in three seconds, and once that it has stopped. */
  setTyping(conversationId: string, typing: boolean): void;
  /**
   * How these users are now; `presence` tells of it and of changes. They stay watched through every
   * reconnection, also if this call rejects because there is no connection.
   */
  watchPresence(users: readonly string[]): Promise<readonly Presence[]>;
  unwatchPresence(users: readonly string[]): Promise<void>;
  /** Also kept through every reconnection. */
  setPresence(status: "online" | "away"): Promise<void>;
}

const retry = { minDelayMs: 300, maxDelayMs: 30_000 };

export function createClient(options: ClientOptions): Client {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const emitter = createEmitter<ClientEvents>();
  /** Of what ends with the connection. */
  const timers = createTimers(clock);
  const persistence = createPersistence(clock, random, retry);
  let welcome: Welcome | undefined;

  /** After close() nothing is told any more, whatever was about to be. */
  const tell = <K extends keyof ClientEvents>(type: K, event: ClientEvents[K]) => {
    if (connection.state !== "closed") emitter.emit(type, event);
  };
  const stop = () => {
    for (const one of [outbox, sync, typing, delivered, persistence]) one.stop();
    timers.clear();
  };
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
      if (state !== "connected") stop();
      if (state === "closed") outbox.close();
      emitter.emit("state", { state, retryInMs, reason });
      // Last: what the transport says to it may already be the next state.
      if (state === "connected" && connection.state === state)
        for (const one of [outbox, presences, delivered]) one.start();
    },
    onItem: (item) => {
      if (item.kind === "receipt") learnReceipt(item.receipt);
      else if (item.kind === "typing") tell("typing", item.typing);
      else if (item.kind === "presence") tell("presence", item.presence);
      else if (item.kind === "mute") tell("mute", item.mute);
      else if (item.kind === "block") tell("block", item.block);
      else sync.onItem(item);
      if (item.kind === "ready") tell("ready", undefined);
    },
  });
  const commands = createCommands(
    connection.ask,
    (delayMs) => new Promise((resolve) => clock.setTimeout(resolve, delayMs)),
  );
  const outbox = createOutbox(
    async (message) => {
      const most = welcome?.bodyBytes ?? 0;
      if (message.body.length > most) {
        const what = `${message.body.length} bytes are more than body_bytes (${most})`;
        throw new MartletError("INVALID_ARGUMENT", what, "body");
      }
      const { seq, timeMs } = await commands.send(message);
      return { seq, timeMs };
    },
    timers.start,
    options.outboxMost ?? 1000,
  );
  const typing = createTyping(
    (conversationId, typing) =>
      connection.tell({ $case: "setTyping", value: { conversationId, typing } }),
    clock,
  );
  const presences = createPresences({
    persistence,
    watch: commands.watchPresence,
    unwatch: commands.unwatchPresence,
    set: commands.setPresence,
    onPresence: (presence) => tell("presence", presence),
  });
  const delivered = createDeliveredMarks({
    mark: (id, seq) => marked(id, commands.markDelivered(id, seq)),
    later: timers.start,
    membersMost: () => (options.autoDelivered === false ? 0 : (welcome?.receiptMembers ?? 0)),
  });
  const learnReceipt = (receipt: ReceiptChanged) => {
    const { conversationId, user, deliveredSeq } = receipt;
    if (user === welcome?.user) delivered.learn(conversationId, 0, deliveredSeq);
    tell("receipt", receipt);
  };
  const marked = async (conversationId: string, asked: Promise<Mark>) => {
    const mark = await asked;
    learnReceipt({ ...mark, conversationId, user: welcome?.user ?? "" });
    return mark;
  };
  const sync = createSync({
    cursors: options.cursors ?? new Map(),
    persistence,
    resumeEvents: () => welcome?.resumeEvents ?? 0,
    history: (id, after) => commands.history(id, after === undefined ? {} : { after }),
    conversation: commands.getConversation,
    conversations: commands.conversations,
    onEvent: (event) => {
      tell("event", event);
      if (event.sender !== welcome?.user) delivered.received(event.conversationId, event.seq);
    },
    onGap: (conversationId, seq) => {
      tell("gap", { conversationId, seq });
      delivered.received(conversationId, seq);
    },
    onConversation: (conversation, seq) => {
      tell("conversation", conversation);
      const { id, memberCount, deliveredSeq, unreadCount } = conversation;
      delivered.learn(id, memberCount, deliveredSeq);
      if (unreadCount) delivered.received(id, seq);
    },
    onLeft: (conversationId, lastSeq) => {
      delivered.forget(conversationId);
      tell("left", { conversationId, lastSeq });
    },
  });

  return {
    ...commands,
    on: emitter.on,
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
    send(conversationId, body, { clientMessageId, ...send } = {}) {
      typing.sent(conversationId);
      return outbox.add({
        conversationId,
        clientMessageId: clientMessageId ?? crypto.randomUUID(),
        contentType: send.contentType ?? "",
        body: toBytes(body),
        replyToSeq: send.replyToSeq ?? 0,
        mentions: send.mentions ?? [],
      });
    },
    markDelivered: (id, seq) => marked(id, commands.markDelivered(id, seq)),
    markRead: (id, seq) => marked(id, commands.markRead(id, seq)),
    async setMute(conversationId, untilMs) {
      await commands.setMute(conversationId, untilMs);
      tell("mute", { conversationId, untilMs });
    },
    async block(user) {
      await commands.block(user);
      tell("block", { user, blocked: true });
    },
    async unblock(user) {
      await commands.unblock(user);
      tell("block", { user, blocked: false });
    },
    setTyping: typing.set,
    watchPresence: presences.watch,
    unwatchPresence: presences.unwatch,
    setPresence: presences.set,
  };
}
