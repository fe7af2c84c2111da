/** What services tell users, on two workers; stored as an application does it, by SQL. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { freshUser, server, until, workers } from "./support.ts";
import { closeWires, type Wire, wire, wireNotOn } from "./talk.ts";
import { sql } from "./wire.ts";

after(closeWires);

interface Given {
  count?: number;
  service?: string;
  key?: string;
  expires?: string;
}

/** Notifications "id" or "id1", "id2" and so on, in one transaction. */
const notify = (user: string, id: string, given: Given = {}): Promise<string[][]> => {
  const { count, service = "shop", key = "", expires = "1 hour" } = given;
  return sql(`select martlet.notify('${user}', ${count ? `'${id}' || i` : `'${id}'`}, 'kind',
    'text/plain', '${id}', '${expires}', '${key}', '${service}') from generate_series(1, ${count ?? 1}) i`);
};

const list = (one: Wire, afterNumber = 0, limit = 0) =>
  one.ask({ $case: "listNotifications", value: { afterNumber, limit } }, "listNotifications");

const acknowledge = (one: Wire, ...numbers: number[]) =>
  one.ask({ $case: "ackNotifications", value: { numbers } }, "ackNotifications");

/** The numbers that a session was sent, in order, as often as they came. */
const numbers = (one: Wire): number[] =>
  one.all("notifications").flatMap((batch) => batch.notifications.map(({ number }) => number));

const acked = (one: Wire): number[] =>
  one.all("notificationsAcked").flatMap((item) => item.numbers);

const to = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

const has = (one: Wire, number: number): Promise<boolean> =>
  until(`${one.user} has notification ${number}`, () => numbers(one).includes(number));

async function twoSessions(name: string): Promise<[Wire, Wire]> {
  const here = await wire(freshUser(name), "here");
  return [here, await wireNotOn(here.node, here.user, "there")];
}

describe("a notification", () => {
  it("reaches every session of the user on both workers, once and whole", async () => {
    const sessions = await twoSessions("ann");
    const other = await wire(freshUser("other"));
    const before = Date.now();
    await notify(sessions[0].user, "one", { key: "k" });
    await notify(sessions[0].user, "two");
    for (const one of sessions) {
      await has(one, 2);
      assert.deepEqual(numbers(one), [1, 2]);
      const first = one.all("notifications").flatMap((batch) => batch.notifications)[0];
      assert.ok(first);
      const { createdMs, expiresMs, payload, ...rest } = first;
      assert.deepEqual(rest, {
        number: 1,
        id: "one",
        service: "shop",
        kind: "kind",
        contentType: "text/plain",
        collapseKey: "k",
      });
      assert.equal(new TextDecoder().decode(payload), "one");
      assert.equal(expiresMs - createdMs, 3_600_000);
      assert.ok(Math.abs(createdMs - before) < 60_000);
    }
    await list(other);
    assert.deepEqual(numbers(other), []);
  });

  it("stored again under its id is the same one, also when it is acknowledged", async () => {
    const [here, there] = await twoSessions("ann");
    await notify(here.user, "same");
    await has(here, 1);
    await notify(here.user, "same");
    await acknowledge(there, 1);
    await notify(here.user, "same");
    await notify(here.user, "other");
    await until("the later one is there", () => numbers(here).length > 1);
    assert.deepEqual(numbers(here), [1, 3]);
    assert.deepEqual(
      (await list(here)).notifications.map(({ id }) => id),
      ["other"],
    );
  });

  it("waits for a user who is away, and comes after the states and before Ready", async () => {
    const owner = await wire(freshUser("owner"));
    const user = freshUser("ann");
    await owner.ask(
      {
        $case: "createGroup",
        value: { conversationId: crypto.randomUUID(), title: "Group", members: [user] },
      },
      "createGroup",
    );
    await notify(user, "n", { count: 3 });
    const one = await wire(user);
    const kinds = one.items.flatMap((item) =>
      item.conversationState
        ? "state"
        : item.notifications
          ? "notifications"
          : item.ready
            ? "ready"
            : [],
    );
    assert.deepEqual(kinds.slice(0, 3), ["state", "notifications", "ready"]);
    assert.deepEqual(numbers(one), [1, 2, 3]);
    const [batch] = one.all("notifications");
    assert.ok(batch?.complete && !batch.hasMore);
    // Who has none is told so: what it kept is over.
    assert.ok(owner.all("notifications")[0]?.complete);
  });
});

describe("AckNotifications", () => {
  it("on one device ends them on all, for good", async () => {
    const [here, there] = await twoSessions("ann");
    await notify(here.user, "n", { count: 3 });
    await has(here, 3);
    await has(there, 3);
    assert.deepEqual((await acknowledge(here, 3, 1, 77)).numbers, [1, 3]);
    for (const one of [here, there]) {
      await until("it is told", () => acked(one).length >= 2);
      assert.deepEqual(acked(one), [1, 3]);
    }
    assert.deepEqual((await acknowledge(there, 3, 1)).numbers, []);
    assert.deepEqual(
      (await list(there)).notifications.map(({ number }) => number),
      [2],
    );
    assert.deepEqual(numbers(await wire(here.user)), [2]);
    // Its payload is gone from PostgreSQL too.
    assert.deepEqual(
      await sql(`select sum(octet_length(payload)) from martlet.notifications
        where user_id = '${here.user}' and gone_at is not null`),
      [["0"]],
    );
  });
});

describe("many notifications", () => {
  it("are sent up to a page, and listed from there on", async () => {
    const user = freshUser("ann");
    await notify(user, "n", { count: 120 });
    const one = await wire(user);
    assert.deepEqual(numbers(one), to(100));
    assert.ok(one.all("notifications")[0]?.hasMore);
    const rest = await list(one, 100);
    assert.deepEqual(
      rest.notifications.map(({ number }) => number),
      to(120, 101),
    );
    assert.equal(rest.hasMore, false);
    const page = await list(one, 10, 5);
    assert.deepEqual(
      page.notifications.map(({ number }) => number),
      to(15, 11),
    );
    assert.equal(page.hasMore, true);
    // Live ones follow.
    await notify(user, "later");
    await has(one, 121);
  });

  it("beyond a bound: the oldest of the service give way, and sessions are told", async () => {
    const [here, there] = await twoSessions("ann");
    await notify(here.user, "bank", { count: 5, service: "bank" });
    for (const part of ["a", "b", "c"]) await notify(here.user, part, { count: 70 });
    // What a session keeps, by what it was told and by the pages of what it was not.
    const left = async (one: Wire): Promise<number[]> => {
      const kept = new Set(numbers(one).filter((n) => !acked(one).includes(n)));
      for (let last = 0, hasMore = true; hasMore; ) {
        const page = await list(one, last);
        for (const { number } of page.notifications) kept.add(number);
        last = page.notifications.at(-1)?.number ?? last;
        hasMore = page.hasMore;
      }
      return [...kept].sort((one, other) => one - other);
    };
    const expected = [...to(5), ...to(215, 16)].join();
    for (const one of [here, there])
      await until("it keeps what is pending", async () => (await left(one)).join() === expected);
  });

  it("of one key: the newest replaces the others", async () => {
    const [here, there] = await twoSessions("ann");
    for (const id of ["a", "b", "c"]) await notify(here.user, id, { key: "order-7" });
    await notify(here.user, "d", { key: "order-7", service: "bank" });
    for (const one of [here, there]) {
      await has(one, 4);
      await until("the others are over", () => acked(one).includes(2) || !numbers(one).includes(2));
      const left = numbers(one).filter((number) => !acked(one).includes(number));
      assert.deepEqual(left, [3, 4]);
    }
    assert.deepEqual(numbers(await wire(here.user)), [3, 4]);
  });

  it("whose time is over are gone, and their payloads with them", async () => {
    const user = freshUser("ann");
    await notify(user, "short", { expires: "1 second" });
    await notify(user, "long");
    const one = await wire(user);
    await until("the first is over", async () => (await list(one)).notifications.length === 1);
    await until("it is swept", async () => {
      const [row] = await sql(`select octet_length(payload) from martlet.notifications
        where user_id = '${user}' and number = 1 and gone_at is not null`);
      return row?.[0] === "0";
    });
    assert.deepEqual(
      (await list(one)).notifications.map(({ id }) => id),
      ["long"],
    );
    assert.deepEqual((await acknowledge(one, 1)).numbers, []);
  });
});

describe("a session that begins while notifications come", () => {
  it("misses none and gets none twice", async () => {
    const user = freshUser("ann");
    const count = 90;
    const flood = sql(`do $$ begin for i in 1..${count} loop
      perform martlet.notify('${user}', 'n' || i, '', '', 'x'); commit;
      end loop; end $$`);
    const sessions: Wire[] = [];
    for (let i = 0; i < 12; i++) sessions.push(await wire(user, `device${i}`));
    await flood;
    for (const one of sessions) {
      await has(one, count);
      assert.deepEqual(numbers(one), to(count));
    }
  });
});

describe("what is not allowed", () => {
  it("is refused, with the field named", async () => {
    const one = await wire(freshUser("mallory"));
    const victim = await wire(freshUser("victim"));
    await notify(victim.user, "secret");
    await has(victim, 1);
    const refusals = [
      await one.refused({ $case: "listNotifications", value: { limit: 101 } }),
      await one.refused({ $case: "listNotifications", value: { afterNumber: 2 ** 63 } }),
      await one.refused({ $case: "ackNotifications", value: { numbers: [] } }),
      await one.refused({ $case: "ackNotifications", value: { numbers: to(101) } }),
      await one.refused({ $case: "ackNotifications", value: { numbers: [1, 0] } }),
      await one.refused({ $case: "notify", value: { id: "x", users: [victim.user] } }),
    ].map(({ code, field }) => `${code} ${field}`);
    assert.deepEqual(refusals, [
      "INVALID_ARGUMENT limit",
      "INVALID_ARGUMENT after_number",
      "INVALID_ARGUMENT numbers",
      "INVALID_ARGUMENT numbers",
      "INVALID_ARGUMENT numbers",
      "PERMISSION_DENIED ",
    ]);
    // Another's numbers are nobody's.
    assert.deepEqual((await acknowledge(one, 1)).numbers, []);
    assert.deepEqual((await list(one)).notifications, []);
    assert.deepEqual(
      (await list(victim)).notifications.map(({ id }) => id),
      ["secret"],
    );
    assert.deepEqual(acked(victim), []);
  });
});

describe("a user who has no session anywhere", () => {
  const told = (user: string): string[] =>
    readFileSync(`${server.folder}/log/martlet.log`, "utf8")
      .split("\n")
      .filter((line) => line.includes("nowhere") && line.includes(`user=${user} `));

  it("is told of once, by one worker, until it was here again", async () => {
    const user = freshUser("away");
    await notify(user, "one");
    await until("it is told of", () => told(user).length === 1);
    assert.match(told(user)[0] ?? "", /waiting=1 /);
    await notify(user, "two");
    const one = await wire(user);
    assert.deepEqual(numbers(one), [1, 2]);
    await notify(user, "three");
    await has(one, 3);
    assert.equal(told(user).length, 1);
    // It goes without having acknowledged: that may never have arrived.
    one.close();
    await until("it is told of again", () => told(user).length === 2);
    assert.match(told(user)[1] ?? "", /waiting=3 /);
  });
});

describe("what a node committed and never told, as it died", () => {
  it("is found by the comparison of numbers, on every node", async () => {
    const sessions = await twoSessions("ann");
    const { user } = sessions[0];
    const silently = (id: string) =>
      sql(`select * from martlet.store_notifications('{shop}', '{${id}}', '{""}', '{""}',
        '{x}', '{3600000}', '{""}', '{${user}}', 500, 200)`);
    await silently("one");
    await silently("two");
    for (const one of sessions) {
      await has(one, 2);
      assert.deepEqual(numbers(one), [1, 2]);
    }
    await sql(`select * from martlet.ack_notifications('${user}', '{1}')`);
    for (const one of sessions) {
      await until("it is told", () => acked(one).length > 0);
      assert.deepEqual(acked(one), [1]);
    }
  });
});

describe("kill -9 of a worker", () => {
  it("loses no notification: neither for its sessions nor for those of the other", async () => {
    const [here, there] = await twoSessions("ann");
    let isOver = false;
    let count = 0;
    const flood = (async () => {
      while (!isOver && count < 95) await notify(here.user, `n${count++}`);
    })();
    await has(here, 3);
    const before = workers();
    process.kill(before[Number(here.node.split(".").at(-1)) - 1] ?? 0, "SIGKILL");
    await until("another runs", () => {
      const now = workers();
      return now.length === before.length && now.some((pid) => !before.includes(pid));
    });
    await until("its session has ended", () => here.isClosed());
    const again = await wireNotOn(there.node, here.user, "here");
    isOver = true;
    await flood;
    for (const one of [again, there]) {
      await has(one, count);
      assert.deepEqual(numbers(one), to(count));
    }
  });
});
