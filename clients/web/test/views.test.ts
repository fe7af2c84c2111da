import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createViews, newestEntries, typingUsers, unreadCount } from "../src/view.ts";
import { conversation, message, page, settle, setUp } from "./support.ts";

const stated = (lastSeq: number, more: object = {}) => ({
  $case: "conversationState",
  value: { conversation: conversation("c", lastSeq, { memberCount: 2, ...more }) },
});

async function start() {
  const all = setUp();
  const views = createViews(all.client, "alice", all.clock);
  const changes: (string | undefined)[] = [];
  views.on("change", (id) => changes.push(id));
  await all.connect();
  const view = () => {
    const one = views.all.get("c");
    assert.ok(one);
    return one;
  };
  return { ...all, views, view, changes };
}

describe("the views of a client", () => {
  it("begin with what the server states, and go on with its events", async () => {
    const { view, wire, changes } = await start();
    wire().down(stated(3, { unreadCount: 2 }), message(4), message(5));
    assert.equal(unreadCount(view()), 4);
    assert.deepEqual(
      view().entries.map(({ seq }) => seq),
      [4, 5],
    );
    assert.deepEqual(changes, ["c", "c", "c"]);
    wire().down(message(5));
    assert.equal(changes.length, 3, "what changes nothing is not told");
  });

  it("ask for the state of a conversation of which only events come", async () => {
    const { views, view, wire } = await start();
    wire().down(message(8), message(9));
    await settle();
    assert.equal(views.all.size, 0);
    assert.equal(wire().asked("getConversation").length, 1);
    const told = conversation("c", 9, { lastEvent: message(9).value });
    wire().reply(wire().asked("getConversation")[0], "getConversation", { conversation: told });
    await settle();
    assert.equal(view().lastSeq, 9);
    assert.equal(newestEntries(view()).from, 9);
  });

  it("load what is older, one page at a time", async () => {
    const { views, view, wire } = await start();
    wire().down(stated(6), message(7));
    const first = views.loadOlder("c");
    void views.loadOlder("c");
    await settle();
    const asked = () => wire().asked("getHistory");
    assert.deepEqual(
      asked().map(({ value }) => value.beforeSeq),
      [7],
    );
    wire().reply(asked()[0], "getHistory", page([4, 5, 6], true));
    await first;
    assert.equal(newestEntries(view()).from, 4);
    const second = views.loadOlder("c");
    await settle();
    wire().reply(asked()[1], "getHistory", page([1, 2, 3]));
    await second;
    assert.equal(newestEntries(view()).hasOlder, false);
    await views.loadOlder("c");
    assert.equal(asked().length, 2);
  });

  it("after a gap load the newest page first", async () => {
    const { views, view, wire } = await start();
    wire().down(stated(3), message(4));
    wire().down({ $case: "resync", value: { conversationId: "c", lastSeq: 90 } });
    assert.equal(newestEntries(view()).from, undefined);
    const loading = views.loadOlder("c");
    await settle();
    assert.equal(wire().asked("getHistory")[0]?.value.from, undefined);
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([89, 90], true));
    await loading;
    assert.equal(newestEntries(view()).from, 89);
    assert.equal(view().entries.length, 3, "what was here is kept");
  });

  it("that cannot be loaded say so, and can be asked for again", async () => {
    const { views, wire } = await start();
    wire().down(stated(3));
    const failed = assert.rejects(views.loadOlder("c"), { code: "UNAVAILABLE" });
    await settle();
    wire().reply(wire().asked("getHistory")[0], "error", { code: 9 });
    await failed;
    void views.loadOlder("c");
    await settle();
    assert.equal(wire().asked("getHistory").length, 2);
  });

  it("show a message that waits, one that was refused, and one that is sent again", async () => {
    const { views, view, wire } = await start();
    wire().down(stated(3));
    views.send("c", "hello", { replyToSeq: 2, mentions: ["bob"] });
    await settle();
    const { clientMessageId = "" } = view().pending[0]?.message ?? {};
    assert.equal(view().pending[0]?.failure, "");
    wire().reply(wire().asked("sendMessage")[0], "error", { code: 3, message: "not you" });
    await settle();
    assert.equal(view().pending[0]?.failure, "not you");
    views.sendAgain("c", clientMessageId);
    await settle();
    assert.equal(view().pending[0]?.failure, "");
    const [first, again] = wire().asked("sendMessage");
    assert.deepEqual(again?.value, first?.value);
    const sent = { ...message(4).value, sender: "alice" };
    wire().down({
      $case: "event",
      value: { ...sent, message: { ...sent.message, clientMessageId } },
    });
    assert.deepEqual(view().pending, []);
    wire().reply(again, "sendMessage", { seq: 4, timeMs: 1 });
    await settle();
    assert.deepEqual(view().pending, []);
    views.send("c", "never mind");
    await settle();
    views.discard("c", view().pending[0]?.message.clientMessageId ?? "");
    assert.deepEqual(view().pending, []);
  });

  it("mark as read what is unread, once at a time", async () => {
    const { views, view, wire } = await start();
    wire().down(stated(3, { readSeq: 3 }));
    views.markRead("c");
    assert.equal(wire().asked("markRead").length, 0, "nothing is unread");
    wire().down(message(4));
    views.markRead("c");
    wire().down(message(5));
    views.markRead("c");
    await settle();
    assert.deepEqual(
      wire()
        .asked("markRead")
        .map(({ value }) => value.seq),
      [4],
    );
    const mark = { deliveredSeq: 4, readSeq: 4, unreadCount: 1 };
    wire().reply(wire().asked("markRead")[0], "mark", mark);
    await settle();
    assert.equal(unreadCount(view()), 1);
    views.markRead("c");
    await settle();
    assert.equal(wire().asked("markRead")[1]?.value.seq, 5);
  });

  it("forget by themselves who has stopped typing without a word", async () => {
    const { clock, view, wire, changes } = await start();
    const value = { conversationId: "c", user: "bob", expiresInMs: 6000 };
    wire().down(stated(3), { $case: "typingChanged", value });
    await clock.turn(4000);
    wire().down({ $case: "typingChanged", value });
    await clock.turn(5999);
    assert.deepEqual(typingUsers(view(), clock.now()), ["bob"]);
    const before = changes.length;
    await clock.turn(1);
    assert.equal(view().typing.size, 0);
    assert.equal(changes.length, before + 1);
  });

  it("know members, who is there, who is blocked, what is muted, and what was left", async () => {
    const { client, views, view, wire } = await start();
    wire().down(stated(3));
    const members = views.loadMembers("c");
    const blocked = views.loadBlocked();
    await settle();
    wire().reply(wire().asked("listMembers")[0], "listMembers", {
      members: [{ user: "alice", role: 3 }],
    });
    wire().reply(wire().asked("listBlocked")[0], "listBlocked", { users: ["eve"] });
    await Promise.all([members, blocked]);
    assert.equal(view().memberships.get("alice")?.role, "owner");
    wire().down(
      { $case: "presenceChanged", value: { presence: { user: "bob", status: 3 } } },
      { $case: "blockChanged", value: { user: "bob", blocked: true } },
      { $case: "blockChanged", value: { user: "eve", blocked: false } },
      { $case: "muteChanged", value: { conversationId: "c", untilMs: 99 } },
      { $case: "conversationLeft", value: { conversationId: "c", lastSeq: 3 } },
    );
    assert.equal(views.presences.get("bob")?.status, "online");
    assert.deepEqual([...views.blocked], ["bob"]);
    assert.equal(view().mutedUntilMs, 99);
    assert.equal(view().leftSeq, 3);
    client.close();
  });
});
