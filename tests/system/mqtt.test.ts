/** The door of clients that speak MQTT: the same commands, the same log, and nobody else's topics. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type Command, encodeCommand } from "../../clients/web/src/codec.ts";
import { PresenceStatus, Role } from "../../clients/web/src/gen/martlet.js";
import {
  bridgeLogin,
  closePhones,
  down,
  eventsOf,
  has,
  type Phone,
  phone,
  root,
  signalsOf,
  up,
  versions,
  whole,
} from "./mqtt.ts";
import { freshUser, until, workers } from "./support.ts";
import {
  closeWires,
  codeOf,
  connect,
  connectElsewhere,
  does,
  openDirect,
  say,
  sql,
  textBytes,
  untilSeen,
  uuid,
} from "./wire.ts";

after(async () => {
  await closePhones();
  await closeWires();
});

const text = (body?: Uint8Array): string => new TextDecoder().decode(body);

async function asked(one: Phone, command: Command) {
  const reply = await one.ask(command);
  assert.equal(codeOf(reply), "OK", `${command.$case}: ${reply.error?.message}`);
  return reply;
}

const sendOf = (conversationId: string, body: string, clientMessageId = uuid()): Command => ({
  $case: "sendMessage",
  value: { conversationId, clientMessageId, body: textBytes(body) },
});

/** The log as PostgreSQL has it. */
const seqsOf = async (id: string): Promise<number[]> =>
  (await sql(`select seq from martlet.events where conversation_id = '${id}' order by seq`)).map(
    ([seq]) => Number(seq),
  );

for (const version of versions)
  describe(`every command, over MQTT ${version === 4 ? "3.1.1" : "5"}`, () => {
    it("is answered as the table says", async () => {
      const alice = await phone(freshUser("alice"), { version });
      const bob = freshUser("bob");
      const carol = freshUser("carol");
      const opened = await asked(alice, { $case: "openDirect", value: { user: bob } });
      const id = opened.openDirect?.conversation?.id ?? "";
      const group = uuid();
      const members = { conversationId: group };
      type Row = [command: Command, expected: string];
      // One row a command at least; the compiler holds the table against the protocol.
      const table: { [Kind in Command["$case"]]: Row[] } = {
        hello: [[{ $case: "hello", value: { token: "x", device: "d" } }, "FAILED_PRECONDITION"]],
        ping: [[{ $case: "ping", value: {} }, "OK"]],
        refreshToken: [[{ $case: "refreshToken", value: { token: "x" } }, "FAILED_PRECONDITION"]],
        openDirect: [
          [{ $case: "openDirect", value: { user: bob } }, "OK"],
          [{ $case: "openDirect", value: { user: alice.user } }, "INVALID_ARGUMENT"],
        ],
        createGroup: [
          [
            { $case: "createGroup", value: { conversationId: group, title: "G", members: [bob] } },
            "OK",
          ],
        ],
        sendMessage: [
          [sendOf(id, "hello"), "OK"],
          [sendOf(uuid(), "nowhere"), "NOT_FOUND"],
          [sendOf("x", "nowhere"), "INVALID_ARGUMENT"],
        ],
        editMessage: [
          [
            { $case: "editMessage", value: { conversationId: id, seq: 2, body: textBytes("!") } },
            "OK",
          ],
        ],
        react: [[{ $case: "react", value: { conversationId: id, seq: 2, symbol: "+" } }, "OK"]],
        unreact: [[{ $case: "unreact", value: { conversationId: id, seq: 2, symbol: "+" } }, "OK"]],
        redactMessage: [[{ $case: "redactMessage", value: { conversationId: id, seq: 2 } }, "OK"]],
        getHistory: [
          [{ $case: "getHistory", value: { conversationId: id, afterSeq: 0 } }, "OK"],
          [{ $case: "getHistory", value: { conversationId: uuid(), afterSeq: 0 } }, "NOT_FOUND"],
        ],
        listConversations: [[{ $case: "listConversations", value: {} }, "OK"]],
        getConversation: [[{ $case: "getConversation", value: { conversationId: id } }, "OK"]],
        listMembers: [[{ $case: "listMembers", value: { conversationId: id } }, "OK"]],
        markDelivered: [[{ $case: "markDelivered", value: { conversationId: id, seq: 1 } }, "OK"]],
        markRead: [
          [{ $case: "markRead", value: { conversationId: id, seq: 2 } }, "OK"],
          [{ $case: "markRead", value: { conversationId: id, seq: 999 } }, "INVALID_ARGUMENT"],
        ],
        getReceipts: [[{ $case: "getReceipts", value: { conversationId: id, seq: 2 } }, "OK"]],
        updateGroup: [[{ $case: "updateGroup", value: { ...members, title: "H" } }, "OK"]],
        addMembers: [[{ $case: "addMembers", value: { ...members, users: [carol] } }, "OK"]],
        setRole: [
          [{ $case: "setRole", value: { ...members, user: carol, role: Role.ROLE_OWNER } }, "OK"],
        ],
        removeMember: [[{ $case: "removeMember", value: { ...members, user: bob } }, "OK"]],
        setMute: [[{ $case: "setMute", value: { conversationId: id, untilMs: 1 } }, "OK"]],
        leave: [[{ $case: "leave", value: { conversationId: group } }, "OK"]],
        setTyping: [
          [{ $case: "setTyping", value: { conversationId: id, typing: true } }, "OK"],
          [{ $case: "setTyping", value: { conversationId: group, typing: true } }, "NOT_FOUND"],
        ],
        watchPresence: [
          [{ $case: "watchPresence", value: { users: [bob] } }, "FAILED_PRECONDITION"],
        ],
        unwatchPresence: [
          [{ $case: "unwatchPresence", value: { users: [bob] } }, "FAILED_PRECONDITION"],
        ],
        setPresence: [
          [
            { $case: "setPresence", value: { status: PresenceStatus.PRESENCE_STATUS_AWAY } },
            "FAILED_PRECONDITION",
          ],
        ],
        listNotifications: [[{ $case: "listNotifications", value: {} }, "OK"]],
        ackNotifications: [
          [{ $case: "ackNotifications", value: { numbers: [1] } }, "OK"],
          [{ $case: "ackNotifications", value: { numbers: [] } }, "INVALID_ARGUMENT"],
        ],
        notify: [[{ $case: "notify", value: { id: "n", users: [bob] } }, "PERMISSION_DENIED"]],
        blockUser: [[{ $case: "blockUser", value: { user: carol } }, "OK"]],
        listBlocked: [[{ $case: "listBlocked", value: {} }, "OK"]],
        unblockUser: [[{ $case: "unblockUser", value: { user: carol } }, "OK"]],
      };
      for (const [command, expected] of Object.values(table).flat()) {
        const reply = await alice.ask(command);
        assert.equal(codeOf(reply), expected, `${command.$case}: ${reply.error?.message}`);
        if (expected !== "OK") assert.ok(reply.error?.message);
      }
      for (const { topic, item, qos } of alice.arrivals) {
        if (!item.reply) continue;
        assert.equal(topic, down(alice.user, alice.device));
        assert.equal(qos, 1);
      }
    });

    it("has members by WebSocket and by MQTT who see one log with the same numbers", async () => {
      const alice = await connect(freshUser("alice"));
      const bob = await connectElsewhere(freshUser("bob"), alice);
      const carol = await phone(freshUser("carol"), { version });
      const dave = await phone(freshUser("dave"), { version });
      const conversationId = uuid();
      const value = { conversationId, title: "All", members: [bob.user, carol.user, dave.user] };
      await does(alice, { $case: "createGroup", value });
      for (const one of [carol, dave]) {
        await until("joined", () =>
          one.all("conversationJoined").some((j) => j.conversation?.id === conversationId),
        );
        await one.subscribe(eventsOf(conversationId));
      }
      const sends: Promise<unknown>[] = [];
      for (let i = 0; i < 30; i++)
        sends.push(
          say(alice, conversationId, `a${i}`),
          say(bob, conversationId, `b${i}`),
          asked(carol, sendOf(conversationId, `c${i}`)),
          asked(dave, sendOf(conversationId, `d${i}`)),
        );
      await Promise.all(sends);
      const log = await seqsOf(conversationId);
      assert.deepEqual(
        log,
        Array.from({ length: 121 }, (_, i) => i + 1),
      );
      for (const one of [alice, bob]) await untilSeen(one, conversationId, 121);
      const told = alice.items.flatMap(({ event }) =>
        event?.conversationId === conversationId ? [event] : [],
      );
      assert.deepEqual(
        told.map((e) => e.seq),
        log,
      );
      for (const one of [carol, dave]) {
        for (const seq of log.slice(1)) await has(one, conversationId, seq);
        const own = one.events(conversationId);
        assert.equal(own.length, 120, "each once");
        // What one node committed comes in order; the two nodes' may cross.
        const seen = await whole(one, conversationId);
        assert.deepEqual(
          seen.map((e) => [e.seq, e.sender, text(e.message?.body)]),
          told.map((e) => [e.seq, e.sender, text(e.message?.body)]),
        );
      }
    });

    it("finds after an absence what Mosquitto kept, and by GetHistory the rest: the log", async () => {
      const alice = await connect(freshUser("alice"));
      const user = freshUser("bob");
      const id = await openDirect(alice, user);
      const before = await phone(user, { version, keepS: 60 });
      await before.subscribe(eventsOf(id));
      await say(alice, id, "before");
      await has(before, id, 2);
      await before.close();
      for (let i = 0; i < 50; i++) await say(alice, id, `m${i}`);
      const back = await phone(user, { version, keepS: 60 });
      assert.equal(back.isSessionPresent, true);
      await has(back, id, 52);
      assert.deepEqual(
        back.events(id).map((e) => e.seq),
        Array.from({ length: 50 }, (_, i) => i + 3),
      );
      assert.deepEqual(
        (await whole(back, id)).map((e) => e.seq),
        await seqsOf(id),
      );
      await back.mqtt.unsubscribeAsync(eventsOf(id));
      await back.close();
    });

    it("sent again has the same number, and no second row", async () => {
      const alice = await phone(freshUser("alice"), { version });
      const opened = await asked(alice, {
        $case: "openDirect",
        value: { user: freshUser("bob") },
      });
      const id = opened.openDirect?.conversation?.id ?? "";
      const send = sendOf(id, "once");
      const first = await asked(alice, send);
      const again = await asked(alice, send);
      assert.equal(again.sendMessage?.seq, first.sendMessage?.seq);
      assert.equal(again.sendMessage?.duplicate, true);
      assert.deepEqual(await seqsOf(id), [1, 2]);
    });
  });

describe("a member over MQTT", () => {
  it("is told of joining, leaving, its own receipts and mutes", async () => {
    const alice = await connect(freshUser("alice"));
    const bob = await phone(freshUser("bob"));
    const conversationId = uuid();
    const value = { conversationId, title: "G", members: [bob.user] };
    await does(alice, { $case: "createGroup", value });
    const joined = await until("joined", () => bob.all("conversationJoined")[0]);
    assert.equal(joined.conversation?.id, conversationId);
    assert.equal(joined.conversation?.firstSeq, 1);
    // Signals are for who is there: alice has her place when she has the event.
    await untilSeen(alice, conversationId, 1);
    await asked(bob, { $case: "markRead", value: { conversationId, seq: 1 } });
    await until("its receipt", () => bob.all("receiptChanged").some((r) => r.readSeq === 1));
    await until("alice is told", () =>
      alice.items.some(({ receiptChanged: r }) => r?.user === bob.user),
    );
    await asked(bob, { $case: "setMute", value: { conversationId, untilMs: 5 } });
    await until("its mute", () => bob.all("muteChanged").some((m) => m.untilMs === 5));
    await does(alice, { $case: "removeMember", value: { conversationId, user: bob.user } });
    const left = await until("left", () => bob.all("conversationLeft")[0]);
    assert.deepEqual(left, { conversationId, lastSeq: 2 });
    assert.equal(codeOf(await bob.ask(sendOf(conversationId, "late"))), "NOT_FOUND");
  });

  it("types, and sees who types, on any node and by any door", async () => {
    const alice = await connect(freshUser("alice"));
    const near = await connectElsewhere(alice.user, alice, { device: "elsewhere" });
    const bob = await phone(freshUser("bob"));
    const id = await openDirect(alice, bob.user);
    await untilSeen(near, id, 1);
    await bob.subscribe(signalsOf(id));
    const typing: Command = { $case: "setTyping", value: { conversationId: id, typing: true } };
    await asked(bob, typing);
    for (const one of [alice, near])
      await until("it is told", () =>
        one.items.some(({ typingChanged: t }) => t?.user === bob.user && t.expiresInMs > 0),
      );
    await asked(bob, { $case: "setTyping", value: { conversationId: id, typing: false } });
    await until("its end is told", () =>
      alice.items.some(({ typingChanged: t }) => t?.user === bob.user && !t.expiresInMs),
    );
    await does(alice, typing);
    await until("bob sees alice", () =>
      bob.all("typingChanged").some((t) => t.user === alice.user),
    );
    for (const { topic, item, qos } of bob.arrivals)
      if (item.typingChanged) assert.deepEqual([topic, qos], [signalsOf(id), 0]);
  });

  it("sees no signal of whom a block concerns", async () => {
    const alice = await connect(freshUser("alice"));
    const bob = await phone(freshUser("bob"));
    const carol = await connect(freshUser("carol"));
    const conversationId = uuid();
    const value = { conversationId, title: "G", members: [bob.user, carol.user] };
    await does(alice, { $case: "createGroup", value });
    await untilSeen(carol, conversationId, 1);
    await bob.subscribe(signalsOf(conversationId), eventsOf(conversationId));
    await asked(bob, { $case: "blockUser", value: { user: alice.user } });
    const set: Command = { $case: "setTyping", value: { conversationId, typing: true } };
    await does(alice, set);
    await until("carol sees alice", () =>
      carol.items.some(({ typingChanged: t }) => t?.user === alice.user),
    );
    await does(carol, set);
    await until("bob sees carol", () =>
      bob.all("typingChanged").some((t) => t.user === carol.user),
    );
    await has(bob, conversationId, await say(alice, conversationId, "but messages come"));
    assert.equal(bob.all("typingChanged").filter((t) => t.user === alice.user).length, 0);
  });
});

describe("what is wrong is answered or dropped, and kills nothing", () => {
  it("malformed, too large, without a command, of another's topic", async () => {
    const alice = await phone(freshUser("alice"));
    const own = up(alice.user, alice.device);
    const before = workers();
    const errors = () => alice.all("reply").filter((r) => r.requestId === 0 && r.error);
    await alice.publish(own, new Uint8Array([0xff, 0xff, 0xff]));
    await until("it is refused", () => errors().length === 1);
    assert.equal(codeOf(errors()[0] as never), "INVALID_ARGUMENT");
    const large = encodeCommand(7, sendOf(uuid(), "x".repeat(70_000)));
    await alice.publish(own, large);
    await until("it is refused", () => errors().length === 2);
    assert.match(errors()[1]?.error?.message ?? "", /bytes long/);
    await alice.publish(own, new Uint8Array());
    await alice.publish(own, new Uint8Array([8, 9]));
    await until("it is not known", () =>
      alice.all("reply").some((r) => r.requestId === 9 && codeOf(r) === "UNIMPLEMENTED"),
    );
    // No user has such a name, and no device.
    const forger = await phone(freshUser("forger"), { login: bridgeLogin() });
    for (const wrong of ["a b", "é", "x".repeat(65)]) {
      await forger.publish(
        `${root}/up/${wrong}/phone`,
        encodeCommand(1, { $case: "ping", value: {} }),
      );
      await forger.publish(`${root}/up/${alice.user}/${wrong}`, new Uint8Array([1, 2, 3]));
    }
    for (let seed = 1; seed < 200; seed++) {
      const bytes = crypto.getRandomValues(new Uint8Array(seed));
      await alice.publish(own, bytes, { qos: seed % 2 ? 1 : 0 });
    }
    await asked(alice, { $case: "ping", value: {} });
    assert.deepEqual(workers(), before);
  });

  it("a command speaks for its topic's user, whatever it says", async () => {
    const alice = await phone(freshUser("alice"));
    const mallory = await phone(freshUser("mallory"));
    const opened = await asked(alice, { $case: "openDirect", value: { user: freshUser("bob") } });
    const id = opened.openDirect?.conversation?.id ?? "";
    assert.equal(codeOf(await mallory.ask(sendOf(id, "forged"))), "NOT_FOUND");
    const history: Command = { $case: "getHistory", value: { conversationId: id, afterSeq: 0 } };
    assert.equal(codeOf(await mallory.ask(history)), "NOT_FOUND");
    const typing: Command = { $case: "setTyping", value: { conversationId: id, typing: true } };
    assert.equal(codeOf(await mallory.ask(typing)), "NOT_FOUND");
    assert.deepEqual(await seqsOf(id), [1]);
  });

  it("answers go to the response topic with its correlation data, if it is the device's own", async () => {
    const alice = await phone(freshUser("alice"));
    const own = up(alice.user, alice.device);
    const mine = down(alice.user, alice.device);
    const other = down(freshUser("bob"), "phone");
    const witness = await phone(freshUser("witness"), { login: bridgeLogin() });
    await witness.subscribe(other, `${root}/bus/+`, `${mine}/#`, `${mine}2`);
    const ask = (id: number, responseTopic: string) =>
      alice.publish(own, encodeCommand(id, { $case: "ping", value: {} }), {
        properties: { responseTopic, correlationData: Buffer.from(`c${id}`) },
      });
    await ask(11, mine);
    await ask(12, `${mine}/answers`);
    await ask(13, other);
    await ask(14, `${mine}2`);
    await ask(15, `${root}/bus/1`);
    const repliesTo = (id: number) =>
      [...alice.arrivals, ...witness.arrivals].filter(({ item }) => item.reply?.requestId === id);
    for (const id of [11, 12, 13, 14, 15])
      await until(`reply ${id}`, () =>
        alice.all("reply").some(({ requestId }) => requestId === id),
      );
    await until("below too", () =>
      witness.arrivals.some(({ topic }) => topic === `${mine}/answers`),
    );
    // Whatever leaves with the acknowledgements has left before the next command's answer does.
    for (let i = 0; i < 3; i++) await asked(alice, { $case: "ping", value: {} });
    const at = (id: number) =>
      [...new Set(repliesTo(id).map(({ topic, correlation }) => `${topic} ${correlation}`))].sort();
    assert.deepEqual(at(11), [`${mine} c11`]);
    assert.deepEqual(at(12), [`${mine} `, `${mine}/answers c12`]);
    for (const id of [13, 14, 15]) assert.deepEqual(at(id), [`${mine} `]);
  });
});

describe("a worker that is killed with commands on their way", () => {
  it("loses none and does none twice", async () => {
    const alice = await phone(freshUser("alice"));
    const opened = await asked(alice, { $case: "openDirect", value: { user: freshUser("bob") } });
    const id = opened.openDirect?.conversation?.id ?? "";
    const postmaster = (
      await sql("select pg_backend_pid()").then(() =>
        sql("select pid from pg_stat_activity where application_name like 'martlet-write%'"),
      )
    ).map(([pid]) => Number(pid));
    assert.equal(postmaster.length, workers().length);
    // The database stands still, so commands are read and not committed.
    for (const pid of postmaster) process.kill(pid, "SIGSTOP");
    const sends = Array.from({ length: 20 }, (_, i) => sendOf(id, `m${i}`));
    const before = workers();
    try {
      for (const [i, send] of sends.entries())
        await alice.publish(up(alice.user, alice.device), encodeCommand(1000 + i, send));
      // Answers to what needs no writing, from both workers, come after these were read.
      for (let i = 0; i < 4; i++)
        await alice.publish(
          up(alice.user, alice.device),
          encodeCommand(2000 + i, { $case: "ping", value: {} }),
        );
      await until("they were read", () =>
        [0, 1, 2, 3].every((i) => alice.all("reply").some((r) => r.requestId === 2000 + i)),
      );
      for (const pid of before) process.kill(pid, "SIGKILL");
    } finally {
      for (const pid of postmaster) process.kill(pid, "SIGCONT");
    }
    await until("others run", () => {
      const now = workers();
      return now.length === before.length && now.every((pid) => !before.includes(pid));
    });
    await until("all are answered", () =>
      sends.every((_, i) =>
        alice.all("reply").some((r) => r.requestId === 1000 + i && r.sendMessage),
      ),
    );
    const rows = await sql(
      `select convert_from(body, 'UTF8') from martlet.events where conversation_id = '${id}' and kind = 1`,
    );
    assert.deepEqual(rows.map(([body]) => body).sort(), sends.map((_, i) => `m${i}`).sort());
  });
});
