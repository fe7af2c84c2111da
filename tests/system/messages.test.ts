import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  bodies,
  closeAll,
  freshUser,
  hello,
  person,
  personElsewhere,
  raw,
  token,
  until,
} from "./support.ts";

after(closeAll);

describe("a message", () => {
  it("reaches the other user on another worker, in order, once", async () => {
    const alice = await person(freshUser("alice"));
    const bob = await personElsewhere(freshUser("bob"), alice);
    const { id } = await alice.client.openDirect(bob.user);
    const sends = [];
    for (let i = 1; i <= 100; i++) {
      sends.push(alice.client.send(id, `a${i}`), bob.client.send(id, `b${i}`));
    }
    const sent = await Promise.all(sends);
    assert.equal(new Set(sent.map((s) => s.seq)).size, 200);
    await until("both have all", () =>
      [alice, bob].every((p) => bodies(p.seen.get(id)).length === 200),
    );
    assert.deepEqual(bodies(alice.seen.get(id)), bodies(bob.seen.get(id)));
    for (const one of [alice, bob])
      assert.deepEqual(
        one.seen.get(id)?.map((e) => e.seq),
        Array.from({ length: 201 }, (_, i) => i + 1),
      );
    assert.deepEqual(
      bodies(bob.seen.get(id)).filter((b) => b.startsWith("a")),
      Array.from({ length: 100 }, (_, i) => `a${i + 1}`),
    );
  });

  it("reaches every member of a group on both workers", async () => {
    const alice = await person(freshUser("alice"));
    const bob = await personElsewhere(freshUser("bob"), alice);
    const carol = await person(freshUser("carol"));
    const { id } = await alice.client.createGroup("Martlets", [bob.user, carol.user]);
    await alice.client.send(id, "hello all");
    await until("all have it", () =>
      [alice, bob, carol].every((p) => bodies(p.seen.get(id)).includes("hello all")),
    );
  });

  it("sent again with the same client_message_id, on another worker, has the same seq and no second row", async () => {
    const alice = await person(freshUser("alice"), {}, "one");
    const again = await personElsewhere(alice.user, alice, "two");
    const { id } = await alice.client.openDirect(freshUser("bob"));
    const clientMessageId = crypto.randomUUID();
    const first = await alice.client.send(id, "once", { clientMessageId });
    const second = await again.client.send(id, "once", { clientMessageId });
    const third = await alice.client.send(id, "something else", { clientMessageId });
    assert.equal(second.seq, first.seq);
    assert.equal(second.timeMs, first.timeMs);
    assert.equal(third.seq, first.seq);
    const page = await alice.client.history(id);
    assert.deepEqual(bodies(page.events), ["once"]);
  });

  it("missed while away comes on return, once, and history pages both ways", async () => {
    const alice = await person(freshUser("alice"));
    const bob = await person(freshUser("bob"));
    const { id } = await alice.client.openDirect(bob.user);
    await alice.client.send(id, "before");
    await until("bob has it", () => bodies(bob.seen.get(id)).length === 1);
    const cursors = new Map([[id, bob.seen.get(id)?.at(-1)?.seq ?? 0]]);
    bob.client.close();
    for (let i = 0; i < 120; i++) await alice.client.send(id, `m${i}`);
    const back = await person(bob.user, { cursors });
    await until("all missed are there", () => bodies(back.seen.get(id)).length === 120);
    assert.deepEqual(
      bodies(back.seen.get(id)),
      Array.from({ length: 120 }, (_, i) => `m${i}`),
    );
    const newest = await back.client.history(id, { limit: 50 });
    assert.equal(newest.events.length, 50);
    assert.equal(newest.hasMore, true);
    const older = await back.client.history(id, { before: newest.events[0]?.seq ?? 0 });
    assert.equal(older.events.at(-1)?.seq, (newest.events[0]?.seq ?? 0) - 1);
    const first = await back.client.history(id, { after: 0, limit: 2 });
    assert.deepEqual(
      first.events.map((e) => e.seq),
      [1, 2],
    );
  });

  it("missed in a conversation for which Hello had no place comes all the same", async () => {
    const alice = await person(freshUser("alice"));
    const bob = freshUser("bob");
    const { id } = await alice.client.openDirect(bob);
    const other = (await alice.client.createGroup("Beyond", [bob])).id;
    for (let i = 1; i <= 120; i++) await alice.client.send(id, `m${i}`);
    const cursors = new Map<string, number>();
    for (let i = 0; i < 500; i++) cursors.set(crypto.randomUUID(), 1);
    cursors.set(id, 1).set(other, 1);
    const back = await person(bob, { cursors });
    await until("all missed are there", () => bodies(back.seen.get(id)).length === 120);
    assert.deepEqual(
      back.seen.get(id)?.map(({ seq }) => seq),
      Array.from({ length: 120 }, (_, i) => i + 2),
    );
    assert.equal(back.seen.get(other), undefined);
  });

  it("to a cursor far behind is not sent, and the client is told plainly", async () => {
    const alice = await person(freshUser("alice"));
    const bob = freshUser("bob");
    const { id } = await alice.client.openDirect(bob);
    await Promise.all(Array.from({ length: 520 }, (_, i) => alice.client.send(id, `${i}`)));
    const gaps: number[] = [];
    const late = await raw();
    late.command(0, {
      ...hello(token(bob)),
      value: {
        ...(hello(token(bob)).value as object),
        cursors: [{ conversationId: id, seq: 1, stateVersion: 0 }],
      },
    } as never);
    await until("ready", () => late.items.some((item) => item.kind === "ready"));
    for (const item of late.items) if (item.kind === "resync") gaps.push(item.lastSeq);
    assert.deepEqual(gaps, [521]);
    assert.equal(late.items.filter((item) => item.kind === "event").length, 0);
    late.close();
  });
});
