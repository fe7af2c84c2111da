import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  Conversation,
  ConversationEvent,
  EventContent,
  HistoryPage,
  Message,
  Reaction,
  Role,
} from "../src/model.ts";
import {
  apply,
  applyAll,
  applyConversation,
  applyGap,
  applyLeft,
  applyMembers,
  applyPending,
  applyReceipt,
  applyTyping,
  createView,
  expireTyping,
  findEntry,
  knownMembers,
  knownReceipts,
  knowsAllMembers,
  memberCount,
  newestEntries,
  ownRole,
  receiptsOf,
  typingUsers,
  unreadCount,
  type View,
} from "../src/view.ts";

const users = ["alice", "bob", "carol", "dave", "erin"];
const symbols = ["👍", "❤️", "🎉"];
const text = (body: Uint8Array) => new TextDecoder().decode(body);
const bytes = (body: string) => new TextEncoder().encode(body);

function createRandom(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
}
type Random = ReturnType<typeof createRandom>;

function shuffle<T>(list: readonly T[], random: Random): T[] {
  const all = [...list];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [all[i], all[j]] = [all[j] as T, all[i] as T];
  }
  return all;
}

/** The server's side of one group, by its rules, as simply as they can be said. */
function createServer(reader: string) {
  /** As they were written; what is redacted loses its content here too. */
  const log: ConversationEvent[] = [];
  const reactions = new Map<number, Map<string, Set<string>>>();
  const reactionsSeq = new Map<number, number>();
  const members = new Map<string, { role: Role; deliveredSeq: number; readSeq: number }>();
  let settings = { title: "Group", announcement: false, fullHistory: true };

  const append = (sender: string, content: EventContent): ConversationEvent => {
    const seq = log.length + 1;
    const event = { conversationId: "c", seq, sender, timeMs: seq * 1000, content };
    log.push(event);
    return event;
  };
  const message = (seq: number) => log[seq - 1] as ConversationEvent<Message>;
  const counts = (seq: number): Reaction[] =>
    [...(reactions.get(seq) ?? [])]
      .filter(([, by]) => by.size)
      .map(([symbol, by]) => ({ symbol, count: by.size, mine: by.has(reader) }))
      .sort((a, b) => (a.symbol < b.symbol ? -1 : 1));
  /** As a page of history has it. */
  const folded = (event: ConversationEvent): ConversationEvent => {
    if (event.content.kind !== "message" || event.content.redactedSeq) return event;
    const edit = log.findLast(
      ({ content }) => content.kind === "messageEdited" && content.targetSeq === event.seq,
    );
    const { contentType, body, mentions } = (edit?.content ?? event.content) as Message;
    const content = {
      ...{ ...event.content, contentType, body, mentions, editedSeq: edit?.seq ?? 0 },
      reactions: counts(event.seq),
      reactionsSeq: reactionsSeq.get(event.seq) ?? 0,
    };
    return { ...event, content };
  };
  append("alice", { kind: "created", ...settings, members: ["alice", "bob"], memberCount: 2 });
  members.set("alice", { role: "owner", deliveredSeq: 0, readSeq: 0 });
  members.set("bob", { role: "member", deliveredSeq: 0, readSeq: 0 });

  return {
    log,
    members,
    send: (sender: string, body: string) =>
      append(sender, {
        ...{ kind: "message", clientMessageId: `m${log.length}`, contentType: "" },
        ...{ body: bytes(body), replyToSeq: 0, mentions: [] },
        ...{ editedSeq: 0, redactedSeq: 0, reactions: [], reactionsSeq: 0 },
      }),
    edit(target: number, body: string) {
      if (message(target).content.redactedSeq) return;
      const content = { contentType: "", body: bytes(body), mentions: ["bob"] };
      append(message(target).sender, { kind: "messageEdited", targetSeq: target, ...content });
    },
    redact(target: number, sender: string) {
      if (message(target).content.redactedSeq) return;
      const redactedSeq = log.length + 1;
      const empty = { contentType: "", body: new Uint8Array(), mentions: [] };
      append(sender, { kind: "messageRedacted", targetSeq: target });
      reactions.delete(target);
      log.forEach((event, i) => {
        const { content } = event;
        if (event.seq === target)
          log[i] = { ...event, content: { ...(content as Message), ...empty, redactedSeq } };
        else if (content.kind === "messageEdited" && content.targetSeq === target)
          log[i] = { ...event, content: { ...content, ...empty } };
      });
    },
    react(target: number, user: string, symbol: string) {
      if (message(target).content.redactedSeq) return;
      const bySymbol = reactions.get(target) ?? new Map<string, Set<string>>();
      reactions.set(target, bySymbol);
      const by = bySymbol.get(symbol) ?? new Set();
      bySymbol.set(symbol, by);
      const added = !by.has(user);
      if (added) by.add(user);
      else by.delete(user);
      const event = append(user, { kind: "reactionChanged", targetSeq: target, symbol, added });
      reactionsSeq.set(target, event.seq);
    },
    add(sender: string, user: string) {
      if (members.has(user)) return;
      const { seq } = append(sender, { kind: "membersAdded", users: [user] });
      members.set(user, { role: "member", deliveredSeq: seq - 1, readSeq: seq - 1 });
    },
    remove(sender: string, user: string) {
      if (!members.delete(user)) return;
      append(sender, { kind: "memberRemoved", user });
    },
    setRole(sender: string, user: string, role: Role) {
      const member = members.get(user);
      if (!member || member.role === role) return;
      member.role = role;
      append(sender, { kind: "roleChanged", user, role });
    },
    update(sender: string, change: Partial<typeof settings>) {
      settings = { ...settings, ...change };
      append(sender, { kind: "groupUpdated", ...settings });
    },
    mark(user: string, readSeq: number) {
      const member = members.get(user);
      if (!member) return;
      member.readSeq = Math.max(member.readSeq, readSeq);
      member.deliveredSeq = Math.max(member.deliveredSeq, readSeq);
    },
    unread(user: string): number {
      const readSeq = members.get(user)?.readSeq ?? 0;
      const window = log.slice(readSeq, readSeq + 1000);
      const counted = window.filter(
        ({ sender, content }) =>
          content.kind === "message" && sender !== user && !content.redactedSeq,
      );
      return Math.min(counted.length, 100);
    },
    /** As GetConversation has it. */
    state(): Conversation {
      const own = members.get(reader);
      const receipts = [...members]
        .filter(([user]) => user !== reader)
        .map(([user, { deliveredSeq, readSeq }]) => ({ user, deliveredSeq, readSeq }))
        .sort((a, b) => (a.user < b.user ? -1 : 1));
      return {
        ...{ id: "c", kind: "group", peer: "", ...settings, firstSeq: 1, lastSeq: log.length },
        ...{ memberCount: members.size, role: own?.role ?? "member", receipts, stateVersion: 1 },
        ...{ deliveredSeq: own?.deliveredSeq ?? 0, readSeq: own?.readSeq ?? 0 },
        unreadCount: this.unread(reader),
        lastEventTimeMs: log.length * 1000,
        lastEvent: log.at(-1),
        mutedUntilMs: 0,
      };
    },
    /** As GetHistory reads it now. */
    page(from: number, to: number): HistoryPage {
      const events = log.slice(Math.max(0, from - 1), to).map(folded);
      return { events, hasMore: from > 1 };
    },
  };
}
type Server = ReturnType<typeof createServer>;

/** Something happens; the reader stays. */
function happen(server: Server, random: Random): void {
  const { log, members } = server;
  const present = [...members.keys()];
  const somebody = present[random(present.length)] ?? "alice";
  const messages = log.filter(({ content }) => content.kind === "message");
  const target = messages[Math.max(0, messages.length - 1 - random(12))]?.seq;
  const what = random(20);
  if (target === undefined || what < 7) server.send(somebody, `text ${log.length}`);
  else if (what < 10) server.edit(target, `edited ${log.length}`);
  else if (what < 15) server.react(target, somebody, symbols[random(3)] ?? "");
  else if (what < 16) server.redact(target, somebody);
  else if (what < 17) server.add(somebody, users[random(5)] ?? "");
  else if (what < 18) server.remove(somebody, users[2 + random(3)] ?? "");
  else if (what < 19)
    server.setRole(
      somebody,
      users[random(5)] ?? "",
      (["member", "admin"] as const)[random(2)] ?? "member",
    );
  else server.update(somebody, { title: `title ${log.length}`, announcement: random(2) > 0 });
}

/** What a view says, to be compared: not how it came to know. */
function told(view: View) {
  return {
    entries: view.entries.map((entry) => {
      if (entry.kind === "notice") return entry;
      const { ledger: _, body, ...rest } = entry;
      return { ...rest, body: text(body) };
    }),
    settings: view.settings,
    members: knownMembers(view),
    count: memberCount(view),
    role: ownRole(view),
    receipts: knownReceipts(view).map(({ seq: _, ...receipt }) => receipt),
    unread: unreadCount(view),
    read: [view.deliveredSeq, view.readSeq],
    known: view.known,
    last: [view.lastSeq, view.lastEventTimeMs],
  };
}

/** A view of somebody who comes anew and reads everything. */
function fresh(server: Server, user: string): View {
  const view = applyAll(createView(server.state(), user), server.page(1, Infinity).events);
  return applyMembers(
    view,
    [...server.members].map(([name, { role }]) => ({ user: name, role })),
    server.log.length,
  );
}

describe("a view", () => {
  it("of all events is the one of a fresh read, by any seed", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = createRandom(seed);
      const server = createServer("bob");
      let view = apply(createView(server.state(), "bob"), server.log[0] as ConversationEvent);
      for (let i = 0; i < 120; i++) {
        const before = server.log.length;
        happen(server, random);
        for (const event of server.log.slice(before)) view = apply(view, event);
        if (random(30) === 0) {
          server.mark("bob", server.log.length);
          const { deliveredSeq = 0, readSeq = 0 } = server.members.get("bob") ?? {};
          const mark = { user: "bob", deliveredSeq, readSeq, unreadCount: server.unread("bob") };
          view = applyReceipt(view, { conversationId: "c", ...mark });
        }
        if (random(20) === 0) {
          const user = [...server.members.keys()].find((name) => name !== "bob") ?? "";
          server.mark(user, server.log.length);
          const { deliveredSeq = 0, readSeq = 0 } = server.members.get(user) ?? {};
          const mark = { user, deliveredSeq, readSeq, unreadCount: 0 };
          view = applyReceipt(view, { conversationId: "c", ...mark });
        }
      }
      assert.deepEqual(told(view), told(fresh(server, "bob")), `seed ${seed}`);
      assert.ok(knowsAllMembers(view));
    }
  });

  it("made of old and new pages in any order, some twice, between live events is the same", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = createRandom(seed);
      const server = createServer("bob");
      for (let i = 0; i < 60; i++) happen(server, random);
      let view = createView(server.state(), "bob");
      /** Read at some time, to arrive at another. */
      const onTheirWay: HistoryPage[] = [];
      let missedFrom = 0;
      for (let i = 0; i < 120; i++) {
        const before = server.log.length;
        happen(server, random);
        if (random(4) === 0) {
          const from = 1 + random(server.log.length);
          onTheirWay.push(server.page(from, from + random(30)));
        }
        if (random(15) === 0) view = applyConversation(view, server.state());
        if (random(40) === 0) missedFrom = server.log.length + random(25);
        // A hole: what happens in it comes with pages only.
        if (server.log.length > missedFrom) {
          if (server.log.length > view.lastSeq + 1) view = applyGap(view, before);
          for (const event of server.log.slice(before)) view = apply(view, event);
        }
        if (random(3) === 0 && onTheirWay.length) {
          const index = random(onTheirWay.length);
          const page = onTheirWay[index] as HistoryPage;
          if (random(3) > 0) onTheirWay.splice(index, 1);
          view = applyAll(view, random(2) ? page.events : shuffle(page.events, random));
        }
      }
      const rest = [];
      for (let from = 1; from <= server.log.length; from += 20)
        rest.push(server.page(from, from + 25));
      for (const page of shuffle([...onTheirWay, ...rest], random))
        view = applyAll(view, page.events);
      const { title, announcement, fullHistory } = server.state();
      assert.deepEqual(view.settings, { title, announcement, fullHistory });
      view = applyConversation(view, server.state());
      assert.deepEqual(told(view), told(fresh(server, "bob")), `seed ${seed}`);
    }
  });

  it("of a resumed log, in which what is redacted is empty everywhere, is the same", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = createRandom(seed);
      const server = createServer("bob");
      const state = server.state();
      for (let i = 0; i < 100; i++) happen(server, random);
      const view = applyConversation(
        applyAll(createView(state, "bob"), server.log),
        server.state(),
      );
      assert.deepEqual(told(view), told(fresh(server, "bob")), `seed ${seed}`);
    }
  });

  it("keeps nothing of what reactions were made of once nothing can come between", () => {
    const server = createServer("bob");
    server.send("alice", "hello");
    let view = applyAll(createView(server.state(), "bob"), server.log);
    for (let i = 0; i < 100; i++) server.react(2, "alice", "👍");
    view = applyAll(view, server.log);
    const entry = findEntry(view, 2);
    assert.deepEqual(entry?.kind === "message" && entry.ledger.changes, []);
  });
});

describe("a change", () => {
  const begin = () => {
    const server = createServer("bob");
    server.send("alice", "hello");
    return server;
  };

  it("that overtakes the page of its message is applied to it", () => {
    const server = begin();
    const page = server.page(1, 2);
    server.edit(2, "hello there");
    server.react(2, "bob", "👍");
    const view = applyAll(createView(server.state(), "bob"), server.log.slice(2));
    assert.equal(view.entries.length, 0);
    const entry = applyAll(view, page.events).entries.at(-1);
    assert.ok(entry?.kind === "message");
    assert.equal(text(entry.body), "hello there");
    assert.deepEqual(entry.reactions, [{ symbol: "👍", count: 1, mine: true }]);
  });

  it("is not applied to a page that includes it", () => {
    const server = begin();
    server.react(2, "bob", "👍");
    server.edit(2, "one");
    server.edit(2, "two");
    const view = applyAll(createView(server.state(), "bob"), [
      ...server.page(2, 2).events,
      ...server.log.slice(2),
    ]);
    const entry = findEntry(view, 2);
    assert.ok(entry?.kind === "message");
    assert.equal(text(entry.body), "two");
    assert.deepEqual(entry.reactions, [{ symbol: "👍", count: 1, mine: true }]);
  });

  it("waits for its message with a bounded number of others", () => {
    const server = begin();
    for (let i = 0; i < 1000; i++) server.edit(2, `${i}`);
    const view = applyAll(createView(server.state(), "bob"), server.log.slice(2));
    assert.equal(view.orphans.length, 500);
    assert.equal(view.orphans.at(-1)?.seq, server.log.length);
  });
});

describe("what is not in the log", () => {
  const server = createServer("bob");
  server.send("alice", "one");
  server.send("alice", "two");
  const start = createView(server.state(), "bob");

  it("unread messages are the server's count where the page does not know them itself", () => {
    assert.equal(unreadCount(start), 2);
    const third = server.send("alice", "three");
    assert.equal(unreadCount(apply(start, third)), 3);
    server.redact(third.seq, "alice");
    const all = applyAll(start, server.page(1, Infinity).events);
    assert.equal(unreadCount(all), 2);
    const read = applyReceipt(all, {
      ...{ conversationId: "c", user: "bob", deliveredSeq: 3, readSeq: 2, unreadCount: 1 },
    });
    assert.equal(unreadCount(read), 1);
  });

  it("typing ends with its time, with a stop and with a message", () => {
    const typing = { conversationId: "c", user: "alice", expiresInMs: 5000 };
    const view = applyTyping(start, typing, 1000);
    assert.deepEqual(typingUsers(view, 5999), ["alice"]);
    assert.deepEqual(typingUsers(view, 6000), []);
    assert.equal(expireTyping(view, 6000).typing.size, 0);
    assert.equal(applyTyping(view, { ...typing, expiresInMs: 0 }, 2000).typing.size, 0);
    const said = server.send("alice", "here");
    assert.equal(apply(view, said).typing.size, 0);
  });

  it("a message on its way is one line until its event is here, wherever that comes from", () => {
    const message = {
      ...{ conversationId: "c", clientMessageId: "mine", contentType: "" },
      ...{ body: bytes("mine"), replyToSeq: 0, mentions: [] },
    };
    const waiting = applyPending(start, message);
    const failed = applyPending(waiting, message, "refused");
    assert.deepEqual(failed.pending, [{ message, failure: "refused" }]);
    const sent = server.send("bob", "mine");
    const content = { ...(sent.content as Message), clientMessageId: "mine" };
    const there = apply(waiting, { ...sent, content });
    assert.deepEqual(there.pending, []);
    assert.deepEqual(applyPending(there, message).pending, []);
    const foreign = apply(waiting, { ...sent, sender: "alice", content });
    assert.equal(foreign.pending.length, 1);
  });

  it("receipts only grow, and count for each message", () => {
    const mark = {
      conversationId: "c",
      user: "alice",
      deliveredSeq: 3,
      readSeq: 2,
      unreadCount: 0,
    };
    const view = applyReceipt(applyReceipt(start, mark), { ...mark, deliveredSeq: 1, readSeq: 1 });
    assert.deepEqual(receiptsOf(view, 2), { delivered: 1, read: 1, of: 1 });
    assert.deepEqual(receiptsOf(view, 3), { delivered: 1, read: 0, of: 1 });
  });

  it("who left has no role, and one who comes again has what it may see", () => {
    const left = applyLeft(applyAll(start, server.log), server.log.length);
    assert.equal(ownRole(left), undefined);
    server.send("alice", "unseen");
    server.add("alice", "dave");
    const again = applyConversation(left, { ...server.state(), firstSeq: server.log.length });
    assert.equal(ownRole(again), "member");
    assert.deepEqual(
      again.entries.map(({ seq }) => seq),
      [server.log.length],
    );
    assert.equal(newestEntries(again).hasOlder, false);
  });

  it("a hole is not shown as if there were none", () => {
    const view = applyGap(applyAll(start, server.log.slice(0, 3)), 90);
    assert.deepEqual(newestEntries(view), { entries: [], from: undefined, hasOlder: true });
    const after = apply(view, { ...(server.log[1] as ConversationEvent), seq: 91 });
    assert.deepEqual(
      newestEntries(after).entries.map(({ seq }) => seq),
      [91],
    );
    assert.equal(newestEntries(after).hasOlder, true);
  });
});
