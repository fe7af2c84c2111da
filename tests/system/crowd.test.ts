import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { ConversationEvent } from "../../clients/web/src/index.ts";
import { closeAll, freshUser, type Person, person, until } from "./support.ts";

after(closeAll);

const clients = 1000;
const conversations = 100;
const membersOfEach = 30;
const sends = 3000;
/** Receipts would be most of what is told here, and are not what it is about. */
const quiet = { autoDelivered: false };

/** Numbers that are the same at each run: mulberry32. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

describe("1,000 clients in 100 conversations", () => {
  it("with reconnects and repeated sends: every member's view equals the log", async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
    console.log(`SEED=${seed}`);
    const random = randomOf(seed);
    const users = Array.from({ length: clients }, () => freshUser("c"));
    const people: Person[] = [];
    // A hundred at a time, so that signing tokens does not decide.
    for (let i = 0; i < clients; i += 50)
      people.push(
        ...(await Promise.all(users.slice(i, i + 50).map((user) => person(user, quiet)))),
      );

    const groups: { id: string; members: Person[] }[] = [];
    for (let i = 0; i < conversations; i++) {
      const members = new Set<Person>();
      while (members.size < membersOfEach) members.add(people[random(clients)] as Person);
      const [owner, ...others] = [...members] as [Person, ...Person[]];
      const { id } = await owner.client.createGroup(
        `group ${i}`,
        others.map((p) => p.user),
      );
      groups.push({ id, members: [owner, ...others] });
    }

    // From here on each of them has a cursor; before, a lost connection would begin at the newest event.
    for (const { id, members } of groups)
      for (const one of members) await until("all know of it", () => one.known.has(id), 60_000);

    const acknowledged = new Map<string, Map<string, number>>();
    const say = async (place: number) => {
      const group = groups[random(conversations)] as (typeof groups)[number];
      const one = group.members[random(membersOfEach)] as Person;
      const clientMessageId = crypto.randomUUID();
      const again = random(5) === 0;
      const first = one.client.send(group.id, `${place}`, { clientMessageId });
      if (random(4) === 0) one.client.probe();
      const { seq } = await first;
      if (again)
        assert.equal((await one.client.send(group.id, `${place}`, { clientMessageId })).seq, seq);
      const log = acknowledged.get(group.id) ?? new Map<string, number>();
      acknowledged.set(group.id, log.set(clientMessageId, seq));
    };
    for (let place = 0; place < sends; place += 60) {
      // Some lose their connection while the others speak.
      for (let i = 0; i < 10; i++) drop(people[random(clients)] as Person);
      await Promise.all(Array.from({ length: 60 }, (_, i) => say(place + i)));
    }

    for (const { id, members } of groups) {
      const log = await readLog(members[0] as Person, id);
      const sent = acknowledged.get(id) ?? new Map();
      assert.deepEqual(
        log.map((e) => e.seq),
        Array.from({ length: log.length }, (_, i) => i + 1),
      );
      assert.equal(log.length, sent.size + 1);
      const numbers = (events: readonly ConversationEvent[] = []) =>
        events.map(
          (e) => `${e.seq} ${e.content.kind === "message" ? e.content.clientMessageId : ""}`,
        );
      for (const one of members) {
        const seen = () => one.seen.get(id)?.map((e) => e.seq) ?? [];
        await until("the view is whole", () => seen().at(-1) === log.length).catch(() => {
          throw new Error(`${one.user} of ${id}: ${seen()} of ${log.length}, ${one.client.state}`);
        });
        // Who connected again just then was told how it stands instead of its first event.
        const first = seen()[0] === 2 ? 1 : 0;
        assert.deepEqual(numbers(one.seen.get(id)), numbers(log).slice(first), one.user);
      }
      for (const event of log)
        if (event.content.kind === "message")
          assert.equal(sent.get(event.content.clientMessageId), event.seq);
    }
  });
});

/** Cuts the connection under the client, as a network would. */
function drop(one: Person): void {
  one.sockets.at(-1)?.close();
}

async function readLog(one: Person, id: string): Promise<ConversationEvent[]> {
  const events: ConversationEvent[] = [];
  await until(`${one.user} is connected`, () => one.client.state === "connected");
  for (let more = true; more; ) {
    const page = await one.client.history(id, { after: events.at(-1)?.seq ?? 0 });
    events.push(...page.events);
    more = page.hasMore;
  }
  return events;
}
