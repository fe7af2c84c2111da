import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { freshUser, until } from "./support.ts";
import {
  type Command,
  closeWires,
  codeOf,
  connect,
  connectElsewhere,
  createGroup,
  does,
  openDirect,
  say,
  seqOf,
  sql,
  textBytes,
  untilSeen,
  uuid,
  type Wire,
} from "./wire.ts";

after(closeWires);

const times = 50;

const add = (conversationId: string, user: string): Command => ({
  $case: "addMembers",
  value: { conversationId, users: [user] },
});
const remove = (conversationId: string, user: string): Command => ({
  $case: "removeMember",
  value: { conversationId, user },
});
const setRole = (conversationId: string, user: string, role: 1 | 2 | 3): Command => ({
  $case: "setRole",
  value: { conversationId, user, role },
});
const leave = (conversationId: string): Command => ({ $case: "leave", value: { conversationId } });
const edit = (conversationId: string, seq: number, body: string): Command => ({
  $case: "editMessage",
  value: { conversationId, seq, body: textBytes(body) },
});
const redact = (conversationId: string, seq: number): Command => ({
  $case: "redactMessage",
  value: { conversationId, seq },
});

async function membersOf(wire: Wire, conversationId: string): Promise<[string, number][]> {
  const reply = await does(wire, { $case: "listMembers", value: { conversationId } });
  return reply.listMembers?.members.map(({ user, role }) => [user, role]) ?? [];
}

/** Two users on two workers. */
async function two(): Promise<[Wire, Wire]> {
  const alice = await connect(freshUser("alice"));
  return [alice, await connectElsewhere(freshUser("bob"), alice)];
}

describe("two at once on two workers", () => {
  it("owners who remove each other: one of them stays", async () => {
    const [alice, bob] = await two();
    for (let i = 0; i < times; i++) {
      const id = await createGroup(alice, [bob.user]);
      await does(alice, setRole(id, bob.user, 3));
      const replies = await Promise.all([
        alice.ask(remove(id, bob.user)),
        bob.ask(remove(id, alice.user)),
      ]);
      assert.deepEqual(replies.map(codeOf).sort(), ["NOT_FOUND", "OK"]);
      const stays = codeOf(replies[0] as never) === "OK" ? alice : bob;
      assert.deepEqual(await membersOf(stays, id), [[stays.user, 3]]);
    }
  });

  it("owners who leave, or step down: one owner remains", async () => {
    const [alice, bob] = await two();
    const carol = await connect(freshUser("carol"));
    for (let i = 0; i < times; i++) {
      const id = await createGroup(alice, [bob.user, carol.user]);
      await does(alice, setRole(id, bob.user, 3));
      const replies = await Promise.all([
        alice.ask(i % 2 ? leave(id) : setRole(id, alice.user, 1)),
        bob.ask(i % 3 ? leave(id) : setRole(id, bob.user, 2)),
      ]);
      assert.deepEqual(replies.map(codeOf).sort(), ["FAILED_PRECONDITION", "OK"]);
      const owners = (await membersOf(carol, id)).filter(([, role]) => role === 3);
      assert.equal(owners.length, 1);
    }
  });

  it("a member who is added while it leaves: is in or out, and knows which", async () => {
    const [alice, bob] = await two();
    for (let i = 0; i < times; i++) {
      const id = await createGroup(alice, [bob.user], { fullHistory: i % 2 === 0 });
      await untilJoined(bob, id);
      const [added, left] = await Promise.all([alice.ask(add(id, bob.user)), bob.ask(leave(id))]);
      assert.deepEqual([codeOf(added), codeOf(left)], ["OK", "OK"]);
      const isIn = seqOf(added) > seqOf(left);
      const members = (await membersOf(alice, id)).map(([user]) => user);
      assert.equal(members.includes(bob.user), isIn);
      // And what is said now reaches it, or does not.
      const seq = await say(alice, id, "still there?");
      // Sooner than the sweep's five seconds, which would find it too.
      if (isIn) await untilSeen(bob, id, seq, 3000);
      else {
        await until("bob is told that it is out", () =>
          bob.items.some(
            ({ conversationLeft: l }) => l?.conversationId === id && l.lastSeq === seqOf(left),
          ),
        );
        assert.deepEqual(seqsAfter(bob, id, seqOf(left)), []);
      }
    }
  });

  it("OpenDirect from both sides: one conversation", async () => {
    const [alice, bob] = await two();
    const others = Array.from({ length: times }, () => freshUser("carol"));
    for (const other of others) {
      const carol = await connectElsewhere(other, alice);
      const [a, b] = await Promise.all([openDirect(alice, other), openDirect(carol, alice.user)]);
      assert.equal(a, b);
      await carol.close();
    }
    const ids = await Promise.all([
      ...Array.from({ length: 10 }, () => openDirect(alice, bob.user)),
      ...Array.from({ length: 10 }, () => openDirect(bob, alice.user)),
    ]);
    assert.equal(new Set(ids).size, 1);
  });

  it("a redaction and an edit: the message is empty, whichever was first", async () => {
    const [alice, bob] = await two();
    for (let i = 0; i < times; i++) {
      const id = await createGroup(bob, [alice.user]);
      await untilJoined(alice, id);
      const secret = `secret-${uuid()}`;
      const seq = await say(alice, id, secret);
      const [edited, redacted] = await Promise.all([
        alice.ask(edit(id, seq, `${secret} edited`)),
        bob.ask(redact(id, seq)),
      ]);
      assert.equal(codeOf(redacted), "OK");
      assert.match(codeOf(edited), /^(OK|FAILED_PRECONDITION)$/);
      const { getHistory } = await does(alice, {
        $case: "getHistory",
        value: { conversationId: id },
      });
      const texts = getHistory?.events.map((event) =>
        new TextDecoder().decode((event.message ?? event.messageEdited)?.body),
      );
      assert.ok(texts?.every((text) => !text.includes(secret)));
      const rows = await sql(`select count(*) from martlet.events
        where conversation_id = '${id}' and (body <> '' or content_type <> '' or mentions <> '{}')`);
      assert.deepEqual(rows, [["0"]]);
    }
  });
});

describe("a redacted message", () => {
  it("is gone from PostgreSQL, with its edits and reactions", async () => {
    const [alice, bob] = await two();
    const id = await createGroup(alice, [bob.user]);
    const secret = `secret-${uuid()}`;
    const mentions = [bob.user];
    const { sendMessage } = await does(alice, {
      $case: "sendMessage",
      value: {
        conversationId: id,
        clientMessageId: uuid(),
        contentType: "text/markdown",
        body: textBytes(secret),
        mentions,
      },
    });
    const seq = sendMessage?.seq ?? 0;
    for (const body of [`${secret} better`, `${secret} best`])
      await does(alice, edit(id, seq, body));
    await does(bob, {
      $case: "react",
      value: { conversationId: id, seq, symbol: secret.slice(0, 30) },
    });
    // The body is found this way as long as it is there.
    const found = () =>
      sql(`select e.seq from martlet.events e where e.conversation_id = '${id}'
        and position(convert_to('${secret}', 'UTF8') in e.body) > 0 order by e.seq`);
    assert.equal((await found()).length, 3);
    await does(alice, redact(id, seq));
    assert.deepEqual(await found(), []);
    const rest = await sql(`select count(*) from martlet.events where conversation_id = '${id}'
      and (content_type <> '' or mentions <> '{}')`);
    assert.deepEqual(rest, [["0"]]);
    assert.deepEqual(
      await sql(`select count(*) from martlet.reactions where conversation_id = '${id}'`),
      [["0"]],
    );
  });
});

async function untilJoined(wire: Wire, id: string): Promise<void> {
  await until(`${wire.user} is told of ${id}`, () =>
    wire.items.some(({ conversationJoined: j }) => j?.conversation?.id === id),
  );
}

const seqsAfter = (wire: Wire, id: string, seq: number): number[] =>
  wire.items.flatMap(({ event }) =>
    event?.conversationId === id && event.seq > seq ? [event.seq] : [],
  );

describe("RemoveMember", () => {
  it("once answered, nothing later reaches the removed user on either worker, though others send at full speed", async () => {
    const [alice, bob] = await two();
    const here = await connect(freshUser("mallory"));
    const there = await connectElsewhere(here.user, here);
    for (let i = 0; i < times; i++) {
      const id = await createGroup(alice, [bob.user, here.user]);
      await Promise.all([bob, here, there].map((wire) => untilJoined(wire, id)));
      let isOver = false;
      const flood = async (wire: Wire) => {
        let last = 0;
        while (!isOver)
          last = Math.max(...(await Promise.all([say(wire, id, "a"), say(wire, id, "b")])));
        return last;
      };
      const floods = [flood(alice), flood(bob), flood(alice), flood(bob)];
      await until("the flood reaches both sessions", () =>
        [here, there].every((wire) => seqsAfter(wire, id, 10).length > 0),
      );
      const removedAt = seqOf(await does(alice, remove(id, here.user)));
      // Some more is sent, and seen by those who may: it went through both workers.
      const later = await say(bob, id, "without mallory");
      isOver = true;
      const last = Math.max(later, ...(await Promise.all(floods)));
      await Promise.all([untilSeen(alice, id, last), untilSeen(bob, id, last)]);
      for (const wire of [here, there]) {
        await until("mallory is told", () =>
          wire.items.some(({ conversationLeft: l }) => l?.conversationId === id),
        );
        // An answer after all this: whatever was on the way to it is there now.
        await wire.ask({ $case: "ping", value: {} });
        assert.deepEqual(seqsAfter(wire, id, removedAt), []);
        const left = wire.items.findIndex(({ conversationLeft: l }) => l?.conversationId === id);
        const told = wire.items
          .slice(left + 1)
          .filter(({ event, receiptChanged }) =>
            [event, receiptChanged].some((one) => one?.conversationId === id),
          );
        assert.deepEqual(told, []);
        const seqs = seqsAfter(wire, id, 0);
        assert.deepEqual(
          seqs,
          Array.from({ length: removedAt }, (_, n) => n + 1),
        );
      }
      const refused = await Promise.all([
        here.ask({
          $case: "sendMessage",
          value: { conversationId: id, clientMessageId: uuid(), body: textBytes("hello") },
        }),
        there.ask({ $case: "getConversation", value: { conversationId: id } }),
      ]);
      assert.deepEqual(refused.map(codeOf), ["NOT_FOUND", "NOT_FOUND"]);
    }
  });
});
