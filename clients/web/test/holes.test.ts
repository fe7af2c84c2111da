import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { conversation, message, page, settle, setUp, state } from "./support.ts";

const unavailable = { code: 9, message: "away", retryAfterMs: 0 };
const ready = { $case: "ready", value: {} };
const resync = (lastSeq: number, conversationId = "c") => ({
  $case: "resync",
  value: { conversationId, lastSeq },
});
const cursors = new Map([["c", 0]]);

describe("a hole", () => {
  it("is asked for again while the history is UNAVAILABLE or late", async () => {
    const { clock, connect, wire, seqs } = setUp({ cursors });
    await connect();
    wire().down(message(2));
    await settle();
    wire().reply(wire().asked("getHistory")[0], "error", unavailable);
    await clock.turn(1_000);
    assert.equal(wire().asked("getHistory").length, 2);
    // The second is not answered at all.
    wire().down(message(3));
    await clock.turn(12_000);
    assert.equal(wire().asked("getHistory").length, 3);
    wire().reply(wire().asked("getHistory")[2], "getHistory", page([1, 2, 3]));
    await settle();
    assert.deepEqual(seqs(), [1, 2, 3]);
    await clock.turn(20_000);
    assert.equal(wire().asked("getHistory").length, 3);
  });

  it("is asked for again not before the server's own delay", async () => {
    const { clock, connect, wire } = setUp({ cursors });
    await connect();
    wire().down(message(2));
    await settle();
    wire().reply(wire().asked("getHistory")[0], "error", { ...unavailable, retryAfterMs: 5_000 });
    await clock.turn(4_999);
    assert.equal(wire().asked("getHistory").length, 1);
    await clock.turn(1);
    assert.equal(wire().asked("getHistory").length, 2);
  });

  it("that the connection did not outlive is asked for after the next Ready", async () => {
    const { connect, reconnect, wire, seqs } = setUp({ cursors });
    await connect();
    wire().down(message(3));
    await settle();
    await reconnect();
    assert.deepEqual(wire().asked("hello")[0]?.value.cursors, [
      { conversationId: "c", seq: 0, stateVersion: 0 },
    ]);
    assert.equal(wire().asked("getHistory").length, 0, "the server may send it by itself");
    wire().down(ready);
    await settle();
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([1, 2, 3]));
    await settle();
    assert.deepEqual(seqs(), [1, 2, 3]);
  });

  it("whose events are not there for this user is told as a gap", async () => {
    const { connect, wire, seqs, gaps } = setUp({ cursors });
    await connect();
    wire().down(message(5));
    await settle();
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([4, 5]));
    await settle();
    assert.deepEqual(gaps, ["c 3"]);
    assert.deepEqual(seqs(), [4, 5]);
  });

  it("in a conversation that is no longer one's own is told as a gap", async () => {
    const { clock, connect, wire, seqs, gaps } = setUp({ cursors });
    await connect();
    wire().down(message(5));
    await settle();
    wire().reply(wire().asked("getHistory")[0], "error", { code: 4, message: "no such" });
    await clock.turn(5_000);
    assert.deepEqual(gaps, ["c 4"]);
    assert.deepEqual(seqs(), [5]);
    assert.equal(wire().asked("getHistory").length, 1);
  });

  it("is given up by close(), with its timers", async () => {
    const { client, clock, connect, wire } = setUp({ cursors });
    await connect();
    wire().down(message(2));
    await settle();
    wire().reply(wire().asked("getHistory")[0], "error", { ...unavailable, retryAfterMs: 9_000 });
    await settle();
    client.close();
    assert.equal(clock.waiting, 0);
  });

  it("in each of many conversations is fetched, a few at a time", async () => {
    const many = new Map(Array.from({ length: 20 }, (_, i) => [`c${i}`, 0]));
    const { connect, wire, seqs } = setUp({ cursors: many });
    await connect();
    wire().down(...[...many.keys()].map((id) => message(2, id)));
    await settle();
    assert.ok(wire().asked("getHistory").length < 10);
    for (let i = 0; i < many.size; i++) {
      const asked = wire().asked("getHistory")[i];
      wire().reply(asked, "getHistory", page([1, 2], false, asked?.value.conversationId));
      await settle();
    }
    for (const id of many.keys()) assert.deepEqual(seqs(id), [1, 2]);
  });
});

describe("a Resync", () => {
  it("drops what waited before it, and delivers what waited after it", async () => {
    const { connect, wire, seqs, gaps } = setUp({ cursors });
    await connect();
    wire().down(message(5), message(9), message(10), message(12), resync(8), message(11));
    assert.deepEqual(gaps, ["c 8"]);
    assert.deepEqual(seqs(), [9, 10, 11, 12]);
  });

  it("makes a page that was asked for before it known", async () => {
    const { connect, wire, seqs, gaps } = setUp({ cursors });
    await connect();
    wire().down(message(3));
    await settle();
    wire().down(resync(8), message(9));
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([1, 2, 3]));
    await settle();
    assert.deepEqual(gaps, ["c 8"]);
    assert.deepEqual(seqs(), [9]);
  });

  it("that goes back begins anew, and a page of the old log is not the new one's", async () => {
    const { connect, wire, seqs, gaps } = setUp({ cursors: new Map([["c", 50]]) });
    await connect();
    wire().down(message(60));
    await settle();
    wire().down(resync(10));
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([11, 12, 51]));
    await settle();
    assert.deepEqual(seqs(), []);
    wire().down(message(11));
    assert.deepEqual(gaps, ["c 10"]);
    assert.deepEqual(seqs(), [11]);
  });
});

describe("more conversations than cursors", () => {
  const three = new Map([
    ["a", 1],
    ["b", 1],
    ["c", 1],
  ]);
  const chosen = (frame: { value: { cursors: { conversationId: string }[] } } | undefined) =>
    frame?.value.cursors.map(({ conversationId }) => conversationId);

  it("are those most recently active", async () => {
    const { connect, reconnect, wire } = setUp({ cursors: three });
    await connect({ cursors: 2 });
    wire().down(message(2, "a", 300), message(2, "c", 100), message(2, "b", 200));
    await reconnect();
    assert.deepEqual(chosen(wire().asked("hello")[0]), ["a", "b"]);
  });

  it("are, before anything is known of them, the first ones that were given", async () => {
    const many = new Map(Array.from({ length: 600 }, (_, i) => [`c${i}`, 1]));
    const { connect, wire } = setUp({ cursors: many });
    await connect();
    const told = chosen(wire().asked("hello")[0]);
    assert.equal(told?.length, 500);
    assert.equal(told?.[0], "c0");
  });

  const leftOut = async (limits: object = {}) => {
    const all = setUp({ cursors: three });
    await all.connect({ cursors: 2, ...limits });
    all.wire().down(message(2, "a", 300), message(2, "b", 200), ready);
    await all.reconnect({ cursors: 2, ...limits });
    return all;
  };

  it("what a state without a past missed is fetched", async () => {
    const { wire, seqs, gaps } = await leftOut();
    wire().down(state("c", 4));
    await settle();
    assert.equal(wire().asked("getHistory")[0]?.value.afterSeq, 1);
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([2, 3, 4]));
    await settle();
    assert.deepEqual(seqs("c"), [2, 3, 4]);
    assert.deepEqual(gaps, []);
  });

  it("what is too much to be sent is a gap, as with a cursor", async () => {
    const { wire, seqs, gaps } = await leftOut({ resumeEvents: 10 });
    wire().down(state("c", 12), message(13));
    await settle();
    assert.deepEqual(gaps, ["c 12"]);
    assert.deepEqual(seqs("c"), [13]);
    assert.equal(wire().asked("getHistory").length, 0);
  });

  it("one of which the server said nothing is compared after Ready", async () => {
    const { clock, wire, seqs } = await leftOut();
    wire().down(ready);
    await settle();
    wire().reply(wire().asked("listConversations")[0], "error", unavailable);
    await clock.turn(1_000);
    const list = [conversation("a", 2), conversation("b", 9), conversation("new", 9)];
    wire().reply(wire().asked("listConversations")[1], "listConversations", {
      conversations: list,
      nextPage: "2",
    });
    await settle();
    assert.equal(wire().asked("listConversations")[2]?.value.page, "2");
    wire().reply(wire().asked("listConversations")[2], "listConversations", {
      conversations: [conversation("c", 2)],
      nextPage: "3",
    });
    await settle();
    assert.equal(wire().asked("listConversations").length, 3, "nobody else was left out");
    assert.deepEqual(
      wire()
        .asked("getHistory")
        .map(({ value }) => value.conversationId),
      ["c"],
    );
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([2]));
    await settle();
    assert.deepEqual(seqs("c"), [2]);
  });

  it("one that is not in the list was left, if nothing else says so", async () => {
    const { client, wire, seqs } = await leftOut();
    const lefts: string[] = [];
    client.on("left", ({ conversationId, lastSeq }) => lefts.push(`${conversationId} ${lastSeq}`));
    wire().down(ready);
    await settle();
    const conversations = [conversation("a", 2), conversation("b", 2)];
    wire().reply(wire().asked("listConversations")[0], "listConversations", { conversations });
    await settle();
    wire().reply(wire().asked("getConversation")[0], "error", { code: 4 });
    await settle();
    const asked = () => wire().asked("getHistory");
    assert.equal(asked()[0]?.value.from, undefined);
    wire().reply(asked()[0], "getHistory", page([3], false, "c"));
    await settle();
    assert.deepEqual(lefts, []);
    assert.equal(asked()[1]?.value.afterSeq, 1);
    wire().reply(asked()[1], "getHistory", page([2, 3], false, "c"));
    await settle();
    assert.deepEqual([seqs("c"), lefts], [[2, 3], ["c 3"]]);
  });

  it("one that moved to the list's head while it was read is compared by itself", async () => {
    const { wire, seqs } = await leftOut();
    wire().down(ready);
    await settle();
    wire().reply(wire().asked("listConversations")[0], "listConversations", {});
    await settle();
    const told = { conversation: conversation("c", 2) };
    wire().reply(wire().asked("getConversation")[0], "getConversation", told);
    await settle();
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([2], false, "c"));
    await settle();
    assert.deepEqual(seqs("c"), [2]);
  });

  it("one with a cursor is not fetched: its events follow", async () => {
    const { wire, gaps } = await leftOut({ resumeEvents: 10 });
    wire().down(state("a", 30));
    await settle();
    assert.equal(wire().asked("getHistory").length, 0);
    assert.deepEqual(gaps, []);
  });

  it("one that the server's log is behind of begins anew", async () => {
    const { wire, gaps, seqs } = await leftOut();
    wire().down(state("c", 0, { firstSeq: 1, lastSeq: 0 }), message(1, "c"));
    assert.deepEqual(gaps, ["c 0"]);
    assert.deepEqual(seqs("c"), [1]);
  });
});

describe("a conversation joined again", () => {
  it("begins where one may see it, and what lies before is a gap", async () => {
    const { connect, wire, gaps, seqs } = setUp({ cursors: new Map([["c", 3]]) });
    await connect();
    const value = { conversation: conversation("c", 12, { firstSeq: 11 }) };
    wire().down({ $case: "conversationJoined", value }, message(11), message(12));
    assert.deepEqual(gaps, ["c 10"]);
    assert.deepEqual(seqs(), [11, 12]);
  });
});
