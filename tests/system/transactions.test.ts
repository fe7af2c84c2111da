/** What an application publishes inside its own transaction. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { freshUser, until, workers } from "./support.ts";
import { closeWires, makeGroup, message, type Wire, wire, wireNotOn } from "./talk.ts";
import { sql } from "./wire.ts";

after(closeWires);

const publish = (id: string, sender: string, body: string, identity = crypto.randomUUID()) =>
  `select martlet.publish('${id}', '${sender}', '${identity}', 'text/plain', '${body}')`;

const texts = (one: Wire, id: string): string[] =>
  one
    .all("event")
    .flatMap((event) =>
      event.conversationId === id && event.message
        ? [new TextDecoder().decode(event.message.body)]
        : [],
    );

const seqs = (one: Wire, id: string): number[] =>
  one.all("event").flatMap((event) => (event.conversationId === id ? [event.seq] : []));

const isEmpty = async () => (await sql("select count(*) from martlet.outbox"))[0]?.[0] === "0";

async function two(): Promise<[Wire, Wire, string]> {
  const alice = await wire(freshUser("alice"));
  const bob = await wireNotOn(alice.node, freshUser("bob"));
  return [alice, bob, await makeGroup(alice, [bob])];
}

describe("martlet.publish", () => {
  it("reaches everybody after its commit, in order with what users send", async () => {
    const [alice, bob, id] = await two();
    await sql(`create temp table orders (n integer); begin; insert into orders values (1);
      ${publish(id, alice.user, "first")}; ${publish(id, alice.user, "second")}; commit`);
    await alice.ask(message(id), "sendMessage");
    for (const one of [alice, bob]) {
      await until("all are there", () => seqs(one, id).includes(4));
      assert.deepEqual(seqs(one, id), [1, 2, 3, 4]);
      assert.deepEqual(texts(one, id).slice(0, 2), ["first", "second"]);
    }
    await until("the outbox is empty", isEmpty);
  });

  it("rolled back, it never was", async () => {
    const [alice, bob, id] = await two();
    await sql(`begin; ${publish(id, alice.user, "never")};
      select martlet.notify('${bob.user}', 'never', '', '', ''); rollback`);
    await sql(publish(id, alice.user, "after"));
    for (const one of [alice, bob]) {
      await until("what came after is there", () => texts(one, id).length > 0);
      assert.deepEqual(texts(one, id), ["after"]);
      assert.deepEqual(seqs(one, id), [1, 2]);
    }
    await until("the outbox is empty", isEmpty);
    assert.deepEqual(
      await sql(`select count(*) from martlet.notifications where user_id = '${bob.user}'`),
      [["0"]],
    );
  });

  it("of a transaction that goes on holds up nobody", async () => {
    const [alice, bob, id] = await two();
    const slow = sql(`begin; ${publish(id, alice.user, "slow")};
      select pg_advisory_xact_lock_shared(4711), pg_sleep_for('100 days')`).catch(() => undefined);
    const isSlow = async () =>
      (await sql("select pid from pg_locks where locktype = 'advisory' and objid = 4711"))[0]?.[0];
    const pid = await until("it goes on", isSlow);
    await bob.ask(message(id), "sendMessage");
    await until("alice has it", () => seqs(alice, id).includes(2));
    await sql(`select pg_terminate_backend(${pid})`);
    await slow;
    assert.deepEqual(seqs(alice, id), [1, 2]);
  });

  it("with an identity that was used is the same message", async () => {
    const [alice, bob, id] = await two();
    const identity = crypto.randomUUID();
    await sql(publish(id, alice.user, "once", identity));
    await sql(publish(id, alice.user, "once", identity));
    await sql(publish(id, alice.user, "last"));
    await until("bob has the last", () => texts(bob, id).includes("last"));
    assert.deepEqual(texts(bob, id), ["once", "last"]);
  });
});

describe("kill -9 of the worker that took it", () => {
  it("after telling it and before forgetting: another takes it, and nobody has it twice", async () => {
    const [alice, bob, id] = await two();
    // Forgetting waits as long as this lock is held, so that the worker can be killed in between.
    await sql(`create or replace function public.wait_for_test() returns trigger language plpgsql as
        'begin perform pg_advisory_xact_lock_shared(4712); return null; end';
      create trigger wait_for_test before delete on martlet.outbox
        for each statement execute function public.wait_for_test()`);
    const holding = sql("select pg_advisory_lock(4712), pg_sleep_for('100 days')").catch(
      () => undefined,
    );
    const holder = await until(
      "the lock is held",
      async () => (await sql("select pid from pg_locks where objid = 4712 and granted"))[0]?.[0],
    );
    try {
      await sql(`${publish(id, alice.user, "hello")};
        select martlet.notify('${bob.user}', 'hello', '', '', 'x')`);
      const [backend, taker] = await until("a worker waits", async () => {
        const [waiting] = await sql("select pid from pg_locks where objid = 4712 and not granted");
        const [row] = await sql("select taken_by from martlet.outbox where taken_by <> ''");
        return waiting && row ? [waiting[0], row[0] ?? ""] : undefined;
      });
      const before = workers();
      process.kill(before[Number(taker?.split(".").at(-1)) - 1] ?? 0, "SIGKILL");
      await sql(`select pg_terminate_backend(${backend})`);
      await sql(`select pg_terminate_backend(${holder})`);
      await holding;
      await until("another runs", () => {
        const now = workers();
        return now.length === before.length && now.some((pid) => !before.includes(pid));
      });
      await until("another took it, and forgot it", isEmpty);
    } finally {
      await sql(`drop trigger wait_for_test on martlet.outbox;
        drop function public.wait_for_test()`);
    }
    for (const one of [alice, bob]) {
      // Whose worker was killed begins again: with the message as the newest of the log, and what waits.
      const its = one.isClosed() ? await wire(one.user) : one;
      if (its === one) {
        await until("it is there", () => texts(one, id).length > 0);
        assert.deepEqual(texts(one, id), ["hello"]);
      } else {
        const states = its.all("conversationState").map(({ conversation }) => conversation);
        assert.equal(states.find((state) => state?.id === id)?.lastSeq, 2);
        assert.deepEqual(texts(its, id), []);
      }
      const numbers = () =>
        its
          .all("notifications")
          .flatMap((batch) => batch.notifications.map(({ number }) => number));
      if (one === bob) await until("the notification is there", () => numbers().length > 0);
      assert.deepEqual(numbers(), one === bob ? [1] : []);
    }
  });
});
