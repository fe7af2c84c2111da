import type { Client, SendOptions } from "../client.ts";
import { type Clock, createTimers, systemClock } from "../clock.ts";
import { toBytes } from "../commands.ts";
import { createEmitter, type Emitter } from "../events.ts";
import type { Conversation, Member, Presence } from "../model.ts";
import type { Outgoing } from "../outbox.ts";
import {
  apply,
  applyAll,
  applyConversation,
  applyGap,
  applyLeft,
  applyMute,
  applyPending,
  applyReceipt,
  applyTyping,
  createView,
  dropPending,
  expireTyping,
} from "./fold.ts";
import { applyMembers } from "./members.ts";
import type { View } from "./model.ts";
import { newestEntries, unreadCount } from "./read.ts";

export interface ViewsEvents {
  /** A conversation's view is another one now; undefined: what belongs to none. */
  change: string | undefined;
}

/** The views of all of a client's conversations, kept as the client tells; begin it before `connect()`. */
export interface Views extends Pick<Emitter<ViewsEvents>, "on"> {
  readonly all: ReadonlyMap<string, View>;
  /** Of whom the client watches. */
  readonly presences: ReadonlyMap<string, Presence>;
  /** As far as it was loaded, and changed since. */
  readonly blocked: ReadonlySet<string>;
  /** A conversation that was opened or begun here; its event may come later. */
  add(conversation: Conversation): void;
  /** The page before what stands without a hole up to the newest event; the newest one, if nothing does. */
  loadOlder(id: string): Promise<void>;
  loadMembers(id: string): Promise<void>;
  loadBlocked(): Promise<void>;
  /** All conversations: the server tells only the most recently active ones by itself. */
  loadAll(): Promise<void>;
  /** Like the client's; what waits or failed stands in the view. */
  send(id: string, body: string | Uint8Array, options?: SendOptions): void;
  sendAgain(id: string, clientMessageId: string): void;
  /** Forgets a message that was refused. */
  discard(id: string, clientMessageId: string): void;
  /** The user has seen all that is here. */
  markRead(id: string): void;
}

export function createViews(client: Client, user: string, clock: Clock = systemClock): Views {
  const emitter = createEmitter<ViewsEvents>();
  const all = new Map<string, View>();
  const presences = new Map<string, Presence>();
  const blocked = new Set<string>();
  const timers = createTimers(clock);
  /** Conversations whose state, older page or read mark is asked for. */
  const asking = new Set<string>();

  const set = (view: View) => {
    if (all.get(view.id) === view) return;
    all.set(view.id, view);
    emitter.emit("change", view.id);
  };
  const change = (id: string, next: (view: View) => View) => {
    const view = all.get(id);
    if (view) set(next(view));
  };
  const add = (conversation: Conversation) => {
    const view = all.get(conversation.id);
    set(view ? applyConversation(view, conversation) : createView(conversation, user));
  };
  /** One at a time of what is asked for under a name. */
  const once = async (name: string, work: () => Promise<void>) => {
    if (asking.has(name)) return;
    asking.add(name);
    try {
      await work();
    } finally {
      asking.delete(name);
    }
  };
  /** What failed is asked for again with the next event. */
  const quietly = (work: Promise<unknown>) => void work.catch(() => {});

  client.on("conversation", add);
  client.on("event", (event) => {
    const id = event.conversationId;
    if (all.has(id)) change(id, (view) => apply(view, event));
    else quietly(once(`state ${id}`, async () => add(await client.getConversation(id))));
  });
  client.on("gap", ({ conversationId, seq }) =>
    change(conversationId, (view) => applyGap(view, seq)),
  );
  client.on("left", ({ conversationId, lastSeq }) =>
    change(conversationId, (view) => applyLeft(view, lastSeq)),
  );
  client.on("receipt", (receipt) =>
    change(receipt.conversationId, (view) => applyReceipt(view, receipt)),
  );
  client.on("mute", ({ conversationId, untilMs }) =>
    change(conversationId, (view) => applyMute(view, untilMs)),
  );
  client.on("typing", (typing) => {
    const { conversationId, expiresInMs } = typing;
    change(conversationId, (view) => applyTyping(view, typing, clock.now()));
    if (expiresInMs)
      timers.start(
        () => change(conversationId, (view) => expireTyping(view, clock.now())),
        expiresInMs,
      );
  });
  client.on("presence", (presence) => {
    presences.set(presence.user, presence);
    emitter.emit("change", undefined);
  });
  client.on("block", ({ user, blocked: isBlocked }) => {
    if (isBlocked) blocked.add(user);
    else blocked.delete(user);
    emitter.emit("change", undefined);
  });
  client.on("state", ({ state }) => {
    if (state === "closed") timers.clear();
  });

  const post = (message: Outgoing) => {
    const { conversationId: id, body, ...options } = message;
    change(id, (view) => applyPending(view, message));
    client.send(id, body, options).then(
      // Its event takes it away; if that was here before, it is taken away now.
      () => change(id, (view) => dropIfThere(view, message)),
      (error: Error) => change(id, (view) => applyPending(view, message, error.message)),
    );
  };
  return {
    ...{ all, presences, blocked, add },
    on: emitter.on,
    loadOlder: (id) =>
      once(`older ${id}`, async () => {
        const view = all.get(id);
        if (!view) return;
        const { from, hasOlder } = newestEntries(view);
        if (!hasOlder) return;
        const page = await client.history(id, from === undefined ? {} : { before: from });
        change(id, (now) => applyAll(now, page.events));
      }),
    loadMembers: (id) =>
      once(`members ${id}`, async () => {
        const seq = all.get(id)?.lastSeq ?? 0;
        const members: Member[] = [];
        for await (const member of client.members(id)) members.push(member);
        change(id, (view) => applyMembers(view, members, seq));
      }),
    async loadBlocked() {
      const users: string[] = [];
      for await (const user of client.blocked()) users.push(user);
      blocked.clear();
      for (const user of users) blocked.add(user);
      emitter.emit("change", undefined);
    },
    async loadAll() {
      for await (const conversation of client.conversations())
        if (!all.has(conversation.id)) add(conversation);
    },
    send: (conversationId, body, options = {}) =>
      post({
        conversationId,
        body: toBytes(body),
        clientMessageId: options.clientMessageId ?? crypto.randomUUID(),
        contentType: options.contentType ?? "",
        replyToSeq: options.replyToSeq ?? 0,
        mentions: options.mentions ?? [],
      }),
    sendAgain(id, clientMessageId) {
      const known = all.get(id)?.pending.find((p) => p.message.clientMessageId === clientMessageId);
      if (known?.failure) post(known.message);
    },
    discard: (id, clientMessageId) => change(id, (view) => dropPending(view, clientMessageId)),
    markRead(id) {
      const view = all.get(id);
      if (!view || view.leftSeq !== undefined || !unreadCount(view)) return;
      quietly(
        once(`read ${id}`, async () => {
          await client.markRead(id, view.lastSeq);
        }),
      );
    },
  };
}

const dropIfThere = (view: View, message: Outgoing): View => {
  const isPending = view.pending.some((p) => p.message === message);
  return isPending ? applyPending(view, message) : view;
};
