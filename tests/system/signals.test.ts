import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, describe, it } from "node:test";
import { PresenceStatus } from "../../clients/web/src/gen/martlet.js";
import { freshUser, until, workers } from "./support.ts";
import {
  block,
  type Command,
  closeWires,
  direct,
  makeGroup,
  message,
  openDirect,
  presence,
  settle,
  typing,
  unblock,
  unwatch,
  type Wire,
  watch,
  wire,
  wireNotOn,
  wireOn,
} from "./talk.ts";

after(closeWires);

const {
  PRESENCE_STATUS_OFFLINE: OFFLINE,
  PRESENCE_STATUS_AWAY: AWAY,
  PRESENCE_STATUS_ONLINE: ONLINE,
} = PresenceStatus;

/** Two on two workers, of whom the second was never anywhere else. */
async function pair(): Promise<[Wire, Wire]> {
  const bob = await wire(freshUser("bob"));
  return [await wireNotOn(bob.node, freshUser("alice")), bob];
}

const { MARTLET_TEST_DATABASE: database = "" } = process.env;

/** What another program does to the database. */
const run = (sql: string) => execFileSync("psql", ["-X", "-q", "-c", sql, database]);

const typists = (one: Wire) => one.all("typingChanged").map((t) => `${t.user} ${t.expiresInMs}`);

describe("typing", () => {
  it("is told on all workers, both ways, once, and its end too", async () => {
    const [alice, bob] = await pair();
    const near = await wireOn(alice.node, bob.user, "near");
    const id = await openDirect(alice, bob);
    await alice.ask(typing(id), "done");
    await until("bob sees it", () => typists(bob).length === 1);
    assert.deepEqual(bob.all("typingChanged")[0], {
      conversationId: id,
      user: alice.user,
      expiresInMs: 6000,
    });
    await bob.ask(typing(id), "done");
    await until("alice sees it", () => typists(alice).length === 1);
    await alice.ask(typing(id, false), "done");
    await until("bob sees its end", () => typists(bob).length === 2);
    // Bob's message comes after whatever the bus brought back to the node that told it.
    await settle(bob, id, [alice, near]);
    assert.deepEqual(typists(alice), [`${bob.user} 6000`]);
    for (const one of [bob, near])
      assert.deepEqual(typists(one), [`${alice.user} 6000`, `${alice.user} 0`]);
  });

  it("is told at a pace, whatever is sent", async () => {
    const [alice, bob] = await pair();
    const id = await openDirect(alice, bob);
    const began = Date.now();
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => alice.ask(typing(id, i % 2 === 0), "done")),
    );
    await settle(alice, id, [bob]);
    const most = 2 * (1 + Math.floor((Date.now() - began) / 2000));
    assert.ok(typists(bob).length >= 2 && typists(bob).length <= most, `${typists(bob)}`);
  });

  it("is not told to the user's own other devices", async () => {
    const [alice, bob] = await pair();
    const second = await wireNotOn(alice.node, alice.user, "second");
    const id = await makeGroup(alice, [bob, second]);
    await alice.ask(typing(id), "done");
    await settle(alice, id, [bob, second]);
    assert.deepEqual(typists(bob), [`${alice.user} 6000`]);
    assert.deepEqual(typists(second), []);
  });

  it("is told to nobody in a large group", async () => {
    const [alice, bob] = await pair();
    const crowd = Array.from({ length: 99 }, () => freshUser("crowd"));
    const small = await makeGroup(alice, [bob], crowd.slice(1));
    const large = await makeGroup(alice, [bob], crowd);
    await alice.ask(typing(large), "done");
    await settle(alice, large, [bob]);
    assert.deepEqual(typists(bob), []);
    await alice.ask(typing(small), "done");
    await settle(alice, small, [bob]);
    assert.deepEqual(typists(bob), [`${alice.user} 6000`]);
  });

  it("goes across no block, in either direction, on any worker", async () => {
    const [alice, bob] = await pair();
    const near = await wireOn(alice.node, bob.user, "near");
    const carol = await wireNotOn(alice.node, freshUser("carol"));
    const id = await makeGroup(alice, [bob, near, carol]);
    await alice.ask(block(bob.user), "done");
    await alice.ask(typing(id), "done");
    await settle(alice, id, [bob, near, carol]);
    await bob.ask(typing(id), "done");
    await near.ask(typing(id), "done");
    await settle(bob, id, [alice, carol]);
    await settle(near, id, [alice, carol]);
    assert.deepEqual(typists(bob), []);
    assert.deepEqual(typists(near), []);
    assert.deepEqual(typists(alice), []);
    assert.equal(typists(carol).filter((t) => t.startsWith(alice.user)).length, 1);
    assert.equal(typists(carol).filter((t) => t.startsWith(bob.user)).length, 2);
    await alice.ask(unblock(bob.user), "done");
    await until("it goes again", async () => {
      await alice.ask(typing(id), "done");
      return typists(bob).length && typists(near).length;
    });
  });

  it("is refused to who is no member as in what does not exist", async () => {
    const [alice, bob] = await pair();
    const id = await openDirect(alice, bob);
    const mallory = await wireOn(alice.node, freshUser("mallory"));
    const [foreign, nothing] = [
      await mallory.refused(typing(id)),
      await mallory.refused(typing(crypto.randomUUID())),
    ];
    assert.equal(foreign.code, "NOT_FOUND");
    assert.deepEqual(foreign, nothing);
    await settle(alice, id, [bob]);
    assert.deepEqual([...typists(alice), ...typists(bob), ...typists(mallory)], []);
  });
});

/** What a watcher was told of a user, by answers and by changes. */
const told = (watcher: Wire, user: string) =>
  watcher.items
    .flatMap(
      ({ presenceChanged, reply }) =>
        presenceChanged?.presence ?? reply?.watchPresence?.presences ?? [],
    )
    .filter((one) => one.user === user);

/** The same as a story: what it became, and no beginning with nobody. */
const statuses = (watcher: Wire, user: string) =>
  told(watcher, user)
    .map(({ status }) => status)
    .filter((status, i, all) => status !== (i ? all[i - 1] : OFFLINE));

const see = (watcher: Wire, ...users: string[]) => watcher.ask(watch(...users), "watchPresence");

const becomes = (watcher: Wire, user: string, status: number) =>
  until(
    `${user} becomes ${status} to ${watcher.user}`,
    () => told(watcher, user).at(-1)?.status === status,
    10_000,
  );

describe("presence", () => {
  it("is that of all devices on all workers", async () => {
    const [alice, bob] = await pair();
    await openDirect(alice, bob);
    await see(alice, bob.user);
    await becomes(alice, bob.user, ONLINE);
    const near = await wireOn(alice.node, bob.user, "near");
    await bob.ask(presence(AWAY), "done");
    await near.ask(presence(AWAY), "done");
    await becomes(alice, bob.user, AWAY);
    await near.ask(presence(ONLINE), "done");
    await becomes(alice, bob.user, ONLINE);
    near.close();
    await becomes(alice, bob.user, AWAY);
    const before = Date.now();
    bob.close();
    await becomes(alice, bob.user, OFFLINE);
    assert.deepEqual(statuses(alice, bob.user), [ONLINE, AWAY, ONLINE, AWAY, OFFLINE]);
    const seen = told(alice, bob.user).at(-1)?.lastSeenMs ?? 0;
    assert.ok(Math.abs(seen - before) < 2000, `${seen} is near ${before}`);
    await until("it is written down", async () => {
      const { presences } = await see(alice, bob.user);
      assert.equal(presences[0]?.status, OFFLINE);
      return Math.abs((presences[0]?.lastSeenMs ?? 0) - before) < 2000;
    });
  });

  it("is told in the answer where it is known already, in the order asked", async () => {
    const [alice, bob] = await pair();
    const near = await wireOn(alice.node, freshUser("near"));
    await makeGroup(alice, [bob, near]);
    const { presences } = await see(alice, near.user, "nobody-at-all", near.user);
    assert.deepEqual(
      presences.map((p) => [p.user, p.status]),
      [
        [near.user, ONLINE],
        ["nobody-at-all", OFFLINE],
        [near.user, ONLINE],
      ],
    );
  });

  it("does not flicker when a connection is closed and opened again, here or elsewhere", async () => {
    const [alice, bob] = await pair();
    const carol = await wireNotOn(alice.node, freshUser("carol"));
    const dave = await wireNotOn(alice.node, freshUser("dave"));
    const fourth = await wireOn(alice.node, freshUser("fourth"));
    await makeGroup(alice, [bob, carol, dave, fourth]);
    const others = [bob, carol, dave, fourth];
    await see(alice, ...others.map(({ user }) => user));
    for (const one of others) await becomes(alice, one.user, ONLINE);
    bob.close();
    carol.close();
    await wireOn(bob.node, bob.user);
    await wireOn(alice.node, carol.user);
    // Who goes after them is told to have gone, when their time would have been over.
    dave.close();
    await becomes(alice, dave.user, OFFLINE);
    assert.deepEqual(statuses(alice, bob.user), [ONLINE]);
    assert.deepEqual(statuses(alice, carol.user), [ONLINE]);
  });

  it("ends in time when a worker is killed, but not for who is elsewhere by then", async () => {
    const [here, there] = await pair();
    const sides = await Promise.all(
      [here, there].map(async (watcher) => ({
        watcher,
        leaver: await wireOn(watcher.node, freshUser("leaver")),
        returner: await wireOn(watcher.node, freshUser("returner")),
      })),
    );
    const [one, two] = sides as [(typeof sides)[0], (typeof sides)[0]];
    await makeGroup(here, [there, one.leaver, one.returner, two.leaver, two.returner]);
    for (const [a, b] of [
      [one, two],
      [two, one],
    ] as const) {
      await see(a.watcher, b.leaver.user, b.returner.user);
      for (const user of [b.leaver.user, b.returner.user]) await becomes(a.watcher, user, ONLINE);
    }
    const began = Date.now();
    process.kill(workers()[0] as number, "SIGKILL");
    await until("its connections break", () => sides.some((side) => side.watcher.isClosed()));
    const [dead, alive] = one.watcher.isClosed() ? [one, two] : [two, one];
    await wireOn(alive.watcher.node, dead.returner.user);
    await becomes(alive.watcher, dead.leaver.user, OFFLINE);
    assert.ok(Date.now() - began < 10_000);
    assert.deepEqual(statuses(alive.watcher, dead.leaver.user), [ONLINE, OFFLINE]);
    assert.deepEqual(statuses(alive.watcher, dead.returner.user), [ONLINE]);
    await until("its successor serves", () => workers().length === 2);
    const back = await wireOn(dead.watcher.node, dead.leaver.user);
    await becomes(alive.watcher, back.user, ONLINE);
  });

  it("is hidden from strangers, and silently: shown when they meet, not across a block", async () => {
    const [alice, bob] = await pair();
    const carol = await wireNotOn(alice.node, freshUser("carol"));
    await openDirect(alice, carol);
    const { presences } = await see(alice, bob.user, "nobody-at-all");
    assert.deepEqual(
      presences.map(({ status, lastSeenMs }) => ({ status, lastSeenMs })),
      Array(2).fill({ status: OFFLINE, lastSeenMs: 0 }),
    );
    await bob.ask(presence(AWAY), "done");
    await bob.ask(presence(ONLINE), "done");
    await see(alice, carol.user);
    await becomes(alice, carol.user, ONLINE);
    assert.deepEqual(statuses(alice, bob.user), []);
    await openDirect(bob, alice);
    await becomes(alice, bob.user, ONLINE);
    await bob.ask(block(alice.user), "done");
    await becomes(alice, bob.user, OFFLINE);
    assert.equal(told(alice, bob.user).at(-1)?.lastSeenMs, 0);
    await bob.ask(presence(AWAY), "done");
    const { presences: again } = await see(alice, bob.user);
    assert.deepEqual([again[0]?.status, again[0]?.lastSeenMs], [OFFLINE, 0]);
    await bob.ask(unblock(alice.user), "done");
    await becomes(alice, bob.user, AWAY);
    assert.deepEqual(statuses(alice, bob.user), [ONLINE, OFFLINE, AWAY]);
  });

  it("is told no more after UnwatchPresence", async () => {
    const [alice, bob] = await pair();
    const id = await openDirect(alice, bob);
    await see(alice, bob.user);
    await becomes(alice, bob.user, ONLINE);
    await alice.ask(unwatch(bob.user, "nobody-at-all"), "done");
    await bob.ask(presence(AWAY), "done");
    await settle(bob, id, [alice]);
    assert.deepEqual(statuses(alice, bob.user), [ONLINE]);
    await see(alice, bob.user);
    await becomes(alice, bob.user, AWAY);
  });

  it("is watched of so many users and no more", async () => {
    const alice = await wire(freshUser("alice"));
    const users = Array.from({ length: 501 }, (_, i) => `${alice.user}-${i}`);
    for (let i = 0; i < 500; i += 100) await see(alice, ...users.slice(i, i + 100));
    await see(alice, ...users.slice(0, 100));
    assert.equal((await alice.refused(watch(users[500] ?? ""))).code, "FAILED_PRECONDITION");
    await alice.ask(unwatch(users[0] ?? ""), "done");
    await see(alice, ...users.slice(500));
    const second = await wire(alice.user, "second");
    await see(second, ...users.slice(0, 100));
  });
});

describe("a block", () => {
  it("closes the direct conversation to both, with one text, and its end opens it", async () => {
    const [alice, bob] = await pair();
    const id = await openDirect(alice, bob);
    await alice.ask(block(bob.user), "done");
    const answers = [
      await alice.refused(message(id)),
      await bob.refused(message(id)),
      await alice.refused(direct(bob.user)),
      await bob.refused(direct(alice.user)),
    ];
    for (const answer of answers) {
      assert.equal(answer.code, "PERMISSION_DENIED");
      assert.equal(answer.message, answers[0]?.message);
    }
    await alice.ask(unblock(bob.user), "done");
    await bob.ask(message(id), "sendMessage");
    await settle(alice, id, [bob]);
    assert.equal((await bob.ask(direct(alice.user), "openDirect")).conversation?.id, id);
  });

  it("is found though nobody told of it: the node that made it died", async () => {
    const [alice, bob] = await pair();
    const id = await makeGroup(alice, [bob]);
    await see(alice, bob.user);
    await becomes(alice, bob.user, ONLINE);
    run(`select martlet.block_user('${bob.user}', '${alice.user}', 10)`);
    await becomes(alice, bob.user, OFFLINE);
    await bob.ask(typing(id), "done");
    await settle(bob, id, [alice]);
    assert.deepEqual(typists(alice), []);
    run(`select martlet.unblock_user('${bob.user}', '${alice.user}')`);
    await becomes(alice, bob.user, ONLINE);
  });

  it("leaves what is said in groups", async () => {
    const [alice, bob] = await pair();
    const id = await makeGroup(alice, [bob]);
    await alice.ask(block(bob.user), "done");
    await settle(alice, id, [bob]);
    await settle(bob, id, [alice]);
  });

  it("is told to the user's other devices, and to nobody else", async () => {
    const [alice, bob] = await pair();
    const far = await wireNotOn(alice.node, alice.user, "far");
    const near = await wireOn(alice.node, alice.user, "near");
    const id = await makeGroup(alice, [bob, far, near]);
    await alice.ask(block(bob.user), "done");
    await alice.ask(unblock(bob.user), "done");
    for (const one of [far, near]) {
      await until("it is told", () => one.all("blockChanged").length === 2);
      assert.deepEqual(one.all("blockChanged"), [
        { user: bob.user, blocked: true },
        { user: bob.user, blocked: false },
      ]);
    }
    await settle(bob, id, [alice, near, far]);
    assert.deepEqual([...alice.all("blockChanged"), ...bob.all("blockChanged")], []);
    assert.equal(near.all("blockChanged").length, 2);
  });

  it("is listed, page by page, once, whatever was repeated", async () => {
    const alice = await wire(freshUser("alice"));
    const others = Array.from({ length: 5 }, (_, i) => `${alice.user}-${i}`);
    for (const user of [...others, ...others]) await alice.ask(block(user), "done");
    await alice.ask(unblock(others[2] ?? ""), "done");
    await alice.ask(unblock(others[2] ?? ""), "done");
    const pages: string[][] = [];
    let page = "";
    do {
      const list: Command = { $case: "listBlocked", value: { page, limit: 3 } };
      const answer = await alice.ask(list, "listBlocked");
      pages.push(answer.users);
      page = answer.nextPage;
    } while (page);
    assert.deepEqual(pages, [[others[0], others[1], others[3]], [others[4]]]);
    const mallory = await wire(freshUser("mallory"));
    const list: Command = { $case: "listBlocked", value: { page: "", limit: 0 } };
    assert.deepEqual((await mallory.ask(list, "listBlocked")).users, []);
  });
});

describe("a command about signals or blocks that is wrong is refused, and names the field", () => {
  const many = Array.from({ length: 101 }, (_, i) => `u${i}`);
  const list = (page: string, limit: number): Command => ({
    $case: "listBlocked",
    value: { page, limit },
  });
  const cases: [string, Command, string][] = [
    ["typing nowhere", typing(""), "conversation_id"],
    ["typing in what is no id", typing("42"), "conversation_id"],
    ["watching nobody", watch(), "users"],
    ["watching too many", watch(...many), "users"],
    ["watching what is no user", watch("a", "b c"), "users[1]"],
    ["watching an empty name", watch(""), "users[0]"],
    ["ending to watch nobody", unwatch(), "users"],
    ["ending to watch too many", unwatch(...many), "users"],
    ["ending to watch what is no user", unwatch("é"), "users[0]"],
    ["being nothing", presence(PresenceStatus.PRESENCE_STATUS_UNSPECIFIED), "status"],
    ["being offline", presence(OFFLINE), "status"],
    ["being what nobody knows", presence(99), "status"],
    ["blocking nobody", block(""), "user"],
    ["blocking what is no user", block("a/b"), "user"],
    ["ending to block what is no user", unblock("#"), "user"],
    ["a page of blocks that is none", list("a b", 0), "page"],
    ["a limit above the limit", list("", 201), "limit"],
  ];
  for (const [what, command, field] of cases)
    it(what, async () => {
      const one = await wire(freshUser("mallory"));
      const error = await one.refused(command);
      assert.equal(error.code, "INVALID_ARGUMENT");
      assert.equal(error.field, field);
      assert.notEqual(error.message, "");
      one.close();
    });

  it("blocking oneself", async () => {
    const one = await wire(freshUser("mallory"));
    const error = await one.refused(block(one.user));
    assert.deepEqual([error.code, error.field], ["INVALID_ARGUMENT", "user"]);
  });
});
