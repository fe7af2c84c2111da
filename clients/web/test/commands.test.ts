import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Client } from "../src/index.ts";
import { type Command, conversation, message, page, settle, setUp } from "./support.ts";

const text = (body: Uint8Array | undefined) => new TextDecoder().decode(body);
const unavailable = { code: 9, message: "away", retryAfterMs: 50 };

describe("a command", () => {
  const c = { conversationId: "c" };
  const cases: [Command["$case"], (client: Client) => Promise<unknown>, object, string, object][] =
    [
      ["redactMessage", (x) => x.redact("c", 4), { ...c, seq: 4 }, "change", { seq: 9 }],
      ["react", (x) => x.react("c", 4, "👍"), { ...c, seq: 4, symbol: "👍" }, "change", { seq: 9 }],
      [
        "unreact",
        (x) => x.unreact("c", 4, "👍"),
        { ...c, seq: 4, symbol: "👍" },
        "change",
        { seq: 9 },
      ],
      [
        "addMembers",
        (x) => x.addMembers("c", ["bob"]),
        { ...c, users: ["bob"] },
        "change",
        { seq: 9 },
      ],
      [
        "removeMember",
        (x) => x.removeMember("c", "bob"),
        { ...c, user: "bob" },
        "change",
        { seq: 9 },
      ],
      ["leave", (x) => x.leave("c"), c, "change", { seq: 9 }],
      [
        "setRole",
        (x) => x.setRole("c", "bob", "owner"),
        { ...c, user: "bob", role: 3 },
        "change",
        { seq: 9 },
      ],
      [
        "setRole",
        (x) => x.setRole("c", "bob", "member"),
        { ...c, user: "bob", role: 1 },
        "change",
        { seq: 9 },
      ],
      ["setMute", (x) => x.setMute("c", Infinity), { ...c, untilMs: 253402300799999 }, "done", {}],
      [
        "markRead",
        (x) => x.markRead("c", 4),
        { ...c, seq: 4 },
        "mark",
        { deliveredSeq: 4, readSeq: 4 },
      ],
      ["getReceipts", (x) => x.receipts("c", 4), { ...c, seq: 4 }, "getReceipts", { readCount: 3 }],
      ["blockUser", (x) => x.block("bob"), { user: "bob" }, "done", {}],
      ["unblockUser", (x) => x.unblock("bob"), { user: "bob" }, "done", {}],
      ["setPresence", (x) => x.setPresence("away"), { status: 2 }, "done", {}],
      ["unwatchPresence", (x) => x.unwatchPresence(["bob"]), { users: ["bob"] }, "done", {}],
    ];
  for (const [$case, ask, value, result, answer] of cases)
    it(`${$case} is asked and answered`, async () => {
      const { client, connect, wire } = setUp();
      await connect();
      const asked = ask(client);
      await settle();
      const frame = wire().asked($case)[0];
      assert.deepEqual({ ...frame?.value }, value);
      wire().reply(frame, result, answer);
      const told = await asked;
      if (result === "change") assert.equal(told, 9);
    });

  it("without a connection rejects at once; a message waits, with all that belongs to it", async () => {
    const { client, connect, wire } = setUp();
    for (const [, ask] of cases) await assert.rejects(ask(client), { code: "CLOSED" });
    await assert.rejects(client.edit("c", 1, "x"), { code: "CLOSED" });
    await assert.rejects(client.conversations().next(), { code: "CLOSED" });
    void client.send("c", "hello @bob", { mentions: ["bob"], replyToSeq: 3, contentType: "a/b" });
    await connect();
    const { body, mentions, replyToSeq, contentType } = wire().asked("sendMessage")[0]?.value ?? {};
    assert.deepEqual(
      [text(body), mentions, replyToSeq, contentType],
      ["hello @bob", ["bob"], 3, "a/b"],
    );
  });

  it("edit says the new content whole", async () => {
    const { client, connect, wire } = setUp();
    await connect();
    void client.edit("c", 4, "new", { mentions: ["bob"] });
    await settle();
    const { value } = wire().asked("editMessage")[0] ?? {};
    assert.deepEqual([value?.seq, text(value?.body), value?.mentions], [4, "new", ["bob"]]);
  });

  it("updateGroup changes one setting a command, also to false", async () => {
    const { client, connect, wire } = setUp();
    await connect();
    const asked = client.updateGroup("c", { title: "T", announcement: false });
    await settle();
    wire().reply(wire().asked("updateGroup")[0], "change", { seq: 5 });
    await settle();
    wire().reply(wire().asked("updateGroup")[1], "change", { seq: 0 });
    assert.equal(await asked, 5);
    const [title, announcement] = wire().asked("updateGroup");
    assert.equal(title?.value.title, "T");
    assert.deepEqual([title?.value.change, announcement?.value.change], ["title", "announcement"]);
    assert.equal(announcement?.value.announcement, false);
  });

  it("createGroup is asked again with the same id, and not for ever", async () => {
    const { client, clock, connect, wire } = setUp();
    await connect();
    const asked = client.createGroup("T", ["bob"], { announcement: true });
    const failed = assert.rejects(client.createGroup("U", []), { code: "UNAVAILABLE" });
    await settle();
    const all = () =>
      wire()
        .asked("createGroup")
        .filter(({ value }) => value.title === "T");
    const others = () =>
      wire()
        .asked("createGroup")
        .filter(({ value }) => value.title === "U");
    wire().reply(all()[0], "error", unavailable);
    for (let i = 0; i < 3; i++) {
      wire().reply(others()[i], "error", unavailable);
      await clock.turn(50);
    }
    assert.equal(all()[1]?.value.conversationId, all()[0]?.value.conversationId);
    assert.equal(all()[1]?.value.announcement, true);
    wire().reply(all()[1], "createGroup", { conversation: conversation("c", 1), created: false });
    assert.equal((await asked).id, "c");
    await failed;
    assert.equal(others().length, 3);
  });

  it("createGroup has the id that it is given", async () => {
    const { client, connect, wire } = setUp();
    await connect();
    void client.createGroup("T", [], { conversationId: "mine" }).catch(() => {});
    await settle();
    assert.equal(wire().asked("createGroup")[0]?.value.conversationId, "mine");
  });
});

describe("a list", () => {
  it("of members and blocked users is read page by page", async () => {
    const { client, connect, wire } = setUp();
    await connect();
    const read = (async () => {
      const all: string[] = [];
      for await (const { user, role } of client.members("c")) all.push(`${user} ${role}`);
      for await (const user of client.blocked()) all.push(user);
      return all;
    })();
    await settle();
    const members = [
      { user: "alice", role: 3 },
      { user: "bob", role: 2 },
    ];
    wire().reply(wire().asked("listMembers")[0], "listMembers", { members, nextPage: "b" });
    await settle();
    assert.equal(wire().asked("listMembers")[1]?.value.page, "b");
    wire().reply(wire().asked("listMembers")[1], "listMembers", {
      members: [{ user: "carol", role: 1 }],
    });
    await settle();
    wire().reply(wire().asked("listBlocked")[0], "listBlocked", { users: ["dave"] });
    assert.deepEqual(await read, ["alice owner", "bob admin", "carol member", "dave"]);
  });

  it("of events is read in either direction", async () => {
    const { client, connect, wire } = setUp();
    await connect();
    const read = async (from: object, pages: (readonly number[])[]) => {
      const seqs: number[] = [];
      const before = wire().asked("getHistory").length;
      const all = (async () => {
        for await (const one of client.historyPages("c", from))
          seqs.push(...one.events.map(({ seq }) => seq));
      })();
      for (const [i, one] of pages.entries()) {
        await settle();
        wire().reply(
          wire().asked("getHistory")[before + i],
          "getHistory",
          page(one, i + 1 < pages.length),
        );
      }
      await all;
      return {
        seqs,
        asked: wire()
          .asked("getHistory")
          .slice(before)
          .map(({ value }) => value),
      };
    };
    const back = await read({ limit: 2 }, [
      [5, 6],
      [3, 4],
    ]);
    assert.deepEqual(back.seqs, [5, 6, 3, 4]);
    assert.deepEqual(
      back.asked.map(({ from, beforeSeq, limit }) => [from, beforeSeq, limit]),
      [
        [undefined, 0, 2],
        ["beforeSeq", 5, 2],
      ],
    );
    const forth = await read({ after: 0 }, [[1, 2], [3]]);
    assert.deepEqual(forth.seqs, [1, 2, 3]);
    assert.deepEqual(
      forth.asked.map(({ afterSeq }) => afterSeq),
      [0, 2],
    );
  });
});

describe("what the server tells", () => {
  it("comes as typed events", async () => {
    const { client, connect, wire } = setUp();
    const told: unknown[] = [];
    for (const type of ["receipt", "typing", "presence", "mute", "block"] as const)
      client.on(type, (event) => told.push({ type, ...event }));
    await connect();
    const receipt = {
      conversationId: "c",
      user: "bob",
      deliveredSeq: 4,
      readSeq: 3,
      unreadCount: 0,
    };
    wire().down(
      { $case: "receiptChanged", value: receipt },
      { $case: "typingChanged", value: { conversationId: "c", user: "bob", expiresInMs: 5000 } },
      { $case: "presenceChanged", value: { presence: { user: "bob", status: 2, lastSeenMs: 0 } } },
      { $case: "muteChanged", value: { conversationId: "c", untilMs: 77 } },
      { $case: "blockChanged", value: { user: "bob", blocked: true } },
    );
    assert.deepEqual(told, [
      { type: "receipt", ...receipt },
      { type: "typing", conversationId: "c", user: "bob", expiresInMs: 5000 },
      { type: "presence", user: "bob", status: "away", lastSeenMs: 0 },
      { type: "mute", conversationId: "c", untilMs: 77 },
      { type: "block", user: "bob", blocked: true },
    ]);
  });

  it("of changes is told apart by kind", async () => {
    const { connect, wire, events } = setUp({ cursors: new Map([["c", 0]]) });
    await connect();
    const kinds = {
      created: { title: "T", members: ["alice"], memberCount: 1, announcement: true },
      messageEdited: { targetSeq: 1 },
      messageRedacted: { targetSeq: 1 },
      reactionChanged: { targetSeq: 1, symbol: "👍", added: true },
      membersAdded: { users: ["bob"] },
      memberRemoved: { user: "bob" },
      roleChanged: { user: "bob", role: 2 },
      groupUpdated: { title: "U", announcement: false, fullHistory: true },
    };
    Object.entries(kinds).forEach(([kind, value], i) => {
      const event = { conversationId: "c", seq: i + 1, sender: "alice", timeMs: 1, [kind]: value };
      wire().down({ $case: "event", value: event });
    });
    assert.deepEqual(
      events.map(({ content }) => content.kind),
      Object.keys(kinds),
    );
    const [, edited, , , , , role] = events.map(({ content }) => content);
    assert.ok(edited?.kind === "messageEdited" && edited.body.length === 0);
    assert.ok(role?.kind === "roleChanged" && role.role === "admin");
  });

  it("this client did itself is told like another session's", async () => {
    const { client, connect, wire } = setUp();
    const told: string[] = [];
    client.on("mute", ({ untilMs }) => told.push(`mute ${untilMs}`));
    client.on("block", ({ blocked }) => told.push(`block ${blocked}`));
    client.on("receipt", ({ user, readSeq, unreadCount }) =>
      told.push(`${user} ${readSeq} ${unreadCount}`),
    );
    await connect();
    void client.setMute("c", 5);
    void client.block("bob");
    void client.markRead("c", 3);
    await settle();
    wire().reply(wire().asked("setMute")[0], "done", {});
    wire().reply(wire().asked("blockUser")[0], "done", {});
    wire().reply(wire().asked("markRead")[0], "mark", {
      deliveredSeq: 4,
      readSeq: 4,
      unreadCount: 2,
    });
    await settle();
    assert.deepEqual(told.sort(), ["alice 4 2", "block true", "mute 5"]);
  });
});

describe("typing", () => {
  it("is said once in three seconds, its end once, and a message is an end", async () => {
    const { client, clock, connect, reconnect, wire } = setUp();
    client.setTyping("c", true);
    await connect();
    const said = () =>
      wire()
        .asked("setTyping")
        .map(({ value, requestId }) => [value.typing, requestId]);
    client.setTyping("c", false);
    for (let i = 0; i < 30; i++) {
      client.setTyping("c", true);
      await clock.turn(100);
    }
    assert.deepEqual(said(), [[true, 0]]);
    client.setTyping("c", true);
    client.setTyping("c", false);
    client.setTyping("c", false);
    client.setTyping("c", true);
    assert.deepEqual(said().slice(1), [
      [true, 0],
      [false, 0],
    ]);
    await clock.turn(3_000);
    client.setTyping("c", true);
    void client.send("c", "said").catch(() => {});
    client.setTyping("c", false);
    assert.equal(said().length, 4, "a message is the end");
    await reconnect();
    client.setTyping("c", true);
    assert.deepEqual(said(), [[true, 0]]);
    client.close();
  });
});

describe("presence", () => {
  it("is watched through reconnections, and being away is said again", async () => {
    const { client, connect, reconnect, wire } = setUp();
    const told: string[] = [];
    client.on("presence", ({ user, status }) => told.push(`${user} ${status}`));
    await assert.rejects(client.watchPresence(["bob"]), { code: "CLOSED" });
    await connect();
    assert.deepEqual(wire().asked("watchPresence")[0]?.value.users, ["bob"]);
    const presences = [{ user: "bob", status: 3, lastSeenMs: 0 }];
    wire().reply(wire().asked("watchPresence")[0], "watchPresence", { presences });
    await settle();
    assert.deepEqual(told, ["bob online"]);
    assert.equal(wire().asked("setPresence").length, 0);
    void client.watchPresence(["carol"]).catch(() => {});
    void client.unwatchPresence(["bob"]).catch(() => {});
    void client.setPresence("away").catch(() => {});
    await reconnect();
    assert.deepEqual(wire().asked("watchPresence")[0]?.value.users, ["carol"]);
    assert.equal(wire().asked("setPresence")[0]?.value.status, 2);
  });

  it("names a hundred users a command, is asked again if it may be, and else given up", async () => {
    const { client, clock, connect, reconnect, wire } = setUp();
    const users = Array.from({ length: 150 }, (_, i) => `user-${i}`);
    await client.watchPresence(users).catch(() => {});
    await connect();
    const asked = () => wire().asked("watchPresence");
    assert.equal(asked()[0]?.value.users.length, 100);
    wire().reply(asked()[0], "error", unavailable);
    await clock.turn(1000);
    assert.equal(asked().length, 2);
    wire().reply(asked()[1], "watchPresence", { presences: [] });
    await settle();
    assert.equal(asked()[2]?.value.users.length, 50);
    wire().reply(asked()[2], "error", { code: 8, message: "unknown" });
    await clock.turn(5000);
    assert.equal(asked().length, 3);
    const refused = assert.rejects(client.watchPresence(["x"]), { code: "INVALID_ARGUMENT" });
    await settle();
    wire().reply(asked()[3], "error", { code: 1, message: "no user" });
    await refused;
    await reconnect();
    assert.ok(asked().every(({ value }) => !value.users.includes("x")));
  });
});

describe("what was delivered", () => {
  const limits = { receiptMembers: 10 };
  const stated = (more: object = {}) => ({
    $case: "conversationState",
    value: { conversation: conversation("c", 3, { memberCount: 2, deliveredSeq: 3, ...more }) },
  });
  const marks = (wire: ReturnType<typeof setUp>["wire"]) =>
    wire()
      .asked("markDelivered")
      .map(({ value }) => value.seq);
  const answer = async (wire: ReturnType<typeof setUp>["wire"], deliveredSeq: number) => {
    wire().reply(wire().asked("markDelivered").at(-1), "mark", { deliveredSeq });
    await settle();
  };

  it("is told by itself: what came together as one, and then once a second", async () => {
    const { clock, connect, wire } = setUp();
    await connect(limits);
    wire().down(stated(), message(4), message(5));
    await settle();
    assert.deepEqual(marks(wire), [5]);
    await answer(wire, 5);
    wire().down(message(6));
    wire().down(message(7));
    await clock.turn(999);
    assert.deepEqual(marks(wire), [5]);
    await clock.turn(1);
    assert.deepEqual(marks(wire), [5, 7]);
    await answer(wire, 7);
    await clock.turn(5000);
    assert.deepEqual(marks(wire), [5, 7]);
  });

  it("is told of what waited on the first sight of a conversation", async () => {
    const { connect, wire } = setUp();
    await connect(limits);
    wire().down(stated({ deliveredSeq: 1, unreadCount: 2 }));
    await settle();
    assert.deepEqual(marks(wire), [3]);
  });

  it("is told again after a failure that may pass, and after a reconnection", async () => {
    const { clock, connect, reconnect, wire } = setUp();
    await connect(limits);
    wire().down(stated(), message(4));
    await settle();
    wire().reply(wire().asked("markDelivered")[0], "error", { code: 6, retryAfterMs: 3000 });
    await clock.turn(2999);
    assert.deepEqual(marks(wire), [4]);
    await clock.turn(1);
    assert.deepEqual(marks(wire), [4, 4]);
    await reconnect(limits);
    assert.deepEqual(marks(wire), [4]);
    wire().reply(wire().asked("markDelivered")[0], "error", { code: 4 });
    await clock.turn(9000);
    assert.deepEqual(marks(wire), [4]);
  });

  it("is not told of one's own messages, of what another device told, in large groups, or if not wanted", async () => {
    const own = setUp();
    await own.connect(limits);
    own.wire().down(stated(), { $case: "event", value: { ...message(4).value, sender: "alice" } });
    const told = setUp();
    await told.connect(limits);
    const value = { conversationId: "c", user: "alice", deliveredSeq: 4, readSeq: 0 };
    told.wire().down(stated(), { $case: "receiptChanged", value }, message(4));
    const large = setUp();
    await large.connect(limits);
    large.wire().down(stated({ memberCount: 11 }), message(4));
    const off = setUp({ autoDelivered: false });
    await off.connect(limits);
    off.wire().down(stated(), message(4));
    await settle();
    for (const { wire } of [own, told, large, off]) assert.deepEqual(marks(wire), []);
  });

  it("in many conversations is told one after the other", async () => {
    const { connect, wire } = setUp();
    await connect(limits);
    for (let i = 0; i < 50; i++) wire().down(message(1, `c${i}`));
    await settle();
    assert.equal(marks(wire).length, 1);
    for (let i = 0; i < 49; i++) await answer(wire, 1);
    assert.equal(marks(wire).length, 50);
  });
});

describe("a conversation that was left", () => {
  const left = (lastSeq: number) => ({
    $case: "conversationLeft",
    value: { conversationId: "c", lastSeq },
  });
  const start = async () => {
    const all = setUp({ cursors: new Map([["c", 2]]) });
    const lefts: string[] = [];
    all.client.on("left", ({ lastSeq }) => lefts.push(`${lastSeq} after ${all.seqs().at(-1)}`));
    await all.connect();
    return { ...all, lefts };
  };

  it("ends after its last event, and has no cursor any more", async () => {
    const { lefts, reconnect, wire } = await start();
    wire().down(message(3), left(3));
    assert.deepEqual(lefts, ["3 after 3"]);
    await reconnect();
    assert.deepEqual(wire().asked("hello")[0]?.value.cursors, []);
  });

  it("while away ends after what was missed", async () => {
    const { lefts, seqs, wire } = await start();
    wire().down(left(5), { $case: "ready", value: {} });
    await settle();
    assert.deepEqual(lefts, []);
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([3, 4, 5]));
    await settle();
    assert.deepEqual([seqs(), lefts], [[3, 4, 5], ["5 after 5"]]);
  });

  it("of which nothing is the user's ends at once", async () => {
    const { lefts, wire } = await start();
    wire().down(left(0));
    assert.deepEqual(lefts, ["0 after undefined"]);
    assert.equal(wire().asked("getHistory").length, 0);
  });

  it("and joined again before all was here ends, and begins where one may see it", async () => {
    const { lefts, gaps, seqs, wire } = await start();
    wire().down(left(5));
    await settle();
    const value = { conversation: conversation("c", 9, { firstSeq: 9 }) };
    wire().down({ $case: "conversationJoined", value }, message(9));
    wire().reply(wire().asked("getHistory")[0], "getHistory", page([3, 4, 5]));
    await settle();
    assert.deepEqual([gaps, lefts, seqs()], [["c 5"], ["5 after undefined"], [9]]);
  });

  it("is asked for again by the next connection, should this one not live long enough", async () => {
    const { lefts, reconnect, wire } = await start();
    wire().down(left(5));
    await settle();
    await reconnect();
    assert.equal(wire().asked("hello")[0]?.value.cursors[0]?.seq, 2);
    const value = { conversation: conversation("c", 9, { firstSeq: 1 }) };
    wire().down({ $case: "conversationState", value });
    wire().down(...[3, 4, 5, 6, 7, 8, 9].map((seq) => message(seq)));
    assert.deepEqual(lefts, []);
  });
});

describe("a state's version", () => {
  it("is given back in Hello, the newest that was told", async () => {
    const { connect, reconnect, wire } = setUp();
    await connect();
    const stated = (stateVersion: number) => ({
      $case: "conversationState",
      value: { conversation: conversation("c", 3, { stateVersion }) },
    });
    wire().down(stated(11), message(4), stated(12));
    await reconnect();
    const cursors = [{ conversationId: "c", seq: 4, stateVersion: 12 }];
    assert.deepEqual(wire().asked("hello")[0]?.value.cursors, cursors);
  });
});
