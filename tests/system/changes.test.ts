import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type ConversationEvent, MartletError } from "../../clients/web/src/index.ts";
import {
  knownMembers,
  knownReceipts,
  memberCount,
  newestEntries,
  ownRole,
  receiptsOf,
  unreadCount,
  type View,
  type ViewedMessage,
} from "../../clients/web/src/view.ts";
import {
  bodies,
  closeAll,
  freshUser,
  type Person,
  person,
  personElsewhere,
  until,
} from "./support.ts";

after(closeAll);

const text = (body: Uint8Array) => new TextDecoder().decode(body);
const viewOf = ({ views }: Person, id: string): View => {
  const view = views.all.get(id);
  assert.ok(view, "the conversation is known");
  return view;
};

/** What a view says of the conversation itself, whoever reads it. */
function told(view: View) {
  return {
    entries: newestEntries(view).entries.map((entry) => {
      if (entry.kind === "notice") return entry;
      const { ledger: _, body, reactions, ...rest } = entry;
      return {
        ...{ ...rest, body: text(body) },
        reactions: reactions.map(({ symbol, count }) => `${symbol} ${count}`),
      };
    }),
    settings: view.settings,
    members: knownMembers(view),
    count: memberCount(view),
  };
}

/** And what it says to this user. */
const toldTo = (view: View) => ({
  ...told(view),
  mine: newestEntries(view).entries.map(
    (entry) => entry.kind === "message" && entry.reactions.filter(({ mine }) => mine),
  ),
  role: ownRole(view),
  unread: unreadCount(view),
  read: [view.deliveredSeq, view.readSeq],
  receipts: knownReceipts(view).map(({ seq: _, ...receipt }) => receipt),
});

const message = (one: Person, id: string, seq: number): ViewedMessage => {
  const entry = viewOf(one, id).entries.find((entry) => entry.seq === seq);
  assert.ok(entry?.kind === "message");
  return entry;
};

/** Everybody has everything up to the newest number. */
/** The state of a conversation tells its newest number before the events come that lead there. */
const has = ({ views, seen }: Person, id: string, seq: number) =>
  views.all.get(id)?.lastSeq === seq && (seen.get(id)?.at(-1)?.seq ?? seq) === seq;

const reach = (everybody: readonly Person[], id: string, seq: number) =>
  until(`all have ${seq}`, () => everybody.every((one) => has(one, id, seq)));

/** All pages down to the first, and all members. */
async function readAll(one: Person, id: string): Promise<void> {
  await until("the conversation is told", () => one.views.all.has(id));
  while (newestEntries(viewOf(one, id)).hasOlder) await one.views.loadOlder(id);
  await one.views.loadMembers(id);
}

const refused = (code: string) => (error: unknown) =>
  error instanceof MartletError && error.code === code;

/** A group of three on two workers. */
async function group(title = "Martlets", options = {}) {
  const alice = await person(freshUser("alice"));
  const bob = await personElsewhere(freshUser("bob"), alice);
  const carol = await person(freshUser("carol"));
  const { id } = await alice.client.createGroup(title, [bob.user, carol.user], options);
  await reach([alice, bob, carol], id, 1);
  return { alice, bob, carol, id };
}

/** One of each, by several. Returns the number of the last one. */
async function changeAll(alice: Person, bob: Person, carol: Person, id: string): Promise<number> {
  const dave = freshUser("dave");
  const { seq: first } = await alice.client.send(id, "first", { mentions: [bob.user] });
  const { seq: second } = await bob.client.send(id, "second", { replyToSeq: first });
  const { seq: third } = await carol.client.send(id, "third");
  await alice.client.edit(id, first, "first, edited");
  await alice.client.edit(id, first, "first, edited twice", { mentions: [carol.user] });
  await bob.client.react(id, first, "👍");
  await carol.client.react(id, first, "👍");
  await carol.client.react(id, first, "❤️");
  await carol.client.unreact(id, first, "❤️");
  await bob.client.react(id, third, "🎉");
  await carol.client.edit(id, third, "third, edited");
  await alice.client.redact(id, third);
  await bob.client.react(id, second, "👀");
  await alice.client.setRole(id, bob.user, "admin");
  await bob.client.addMembers(id, [dave]);
  await alice.client.updateGroup(id, { title: "House martins", announcement: true });
  await alice.client.updateGroup(id, { announcement: false });
  return alice.client.removeMember(id, dave);
}

describe("each change", () => {
  it("is shown live to all members, on all workers", async () => {
    const { alice, bob, carol, id } = await group();
    const last = await changeAll(alice, bob, carol, id);
    await reach([alice, bob, carol], id, last);
    const seen = told(viewOf(alice, id));
    for (const one of [bob, carol]) assert.deepEqual(told(viewOf(one, id)), seen);
    assert.equal(seen.settings.title, "House martins");
    assert.deepEqual(
      seen.members.map(({ role }) => role),
      ["owner", "admin", "member"],
    );
    const [first, , third] = seen.entries.filter((entry) => entry.kind === "message");
    assert.ok(first?.kind === "message" && third?.kind === "message");
    assert.equal(first.body as unknown, "first, edited twice");
    assert.deepEqual(first.mentions, [carol.user]);
    assert.deepEqual(first.reactions as unknown, ["👍 2"]);
    assert.ok(third.redactedSeq > 0);
    assert.equal(third.body as unknown, "");
    assert.deepEqual(third.reactions, []);
    assert.deepEqual(
      message(bob, id, first.seq).reactions.map(({ mine }) => mine),
      [true],
    );
  });

  it("repeated is free, and refused to who may not", async () => {
    const { alice, bob, carol, id } = await group();
    const { seq } = await alice.client.send(id, "mine");
    assert.ok((await alice.client.edit(id, seq, "changed")) > 0);
    assert.equal(await alice.client.edit(id, seq, "changed"), 0);
    assert.ok((await bob.client.react(id, seq, "👍")) > 0);
    assert.equal(await bob.client.react(id, seq, "👍"), 0);
    assert.equal(await bob.client.unreact(id, seq, "👎"), 0);
    await assert.rejects(bob.client.edit(id, seq, "foreign"), refused("PERMISSION_DENIED"));
    await assert.rejects(bob.client.redact(id, seq), refused("PERMISSION_DENIED"));
    await assert.rejects(bob.client.removeMember(id, carol.user), refused("PERMISSION_DENIED"));
    await assert.rejects(bob.client.updateGroup(id, { title: "T" }), refused("PERMISSION_DENIED"));
    await assert.rejects(alice.client.edit(id, 999, "nothing"), refused("NOT_FOUND"));
    await assert.rejects(alice.client.leave(id), refused("FAILED_PRECONDITION"));
    assert.ok((await alice.client.redact(id, seq)) > 0);
    assert.equal(await alice.client.redact(id, seq), 0);
    await assert.rejects(alice.client.edit(id, seq, "again"), refused("FAILED_PRECONDITION"));
    const other = await bob.client.openDirect(alice.user);
    await assert.rejects(
      bob.client.addMembers(other.id, [carol.user]),
      refused("FAILED_PRECONDITION"),
    );
    assert.equal((await alice.client.getConversation(id)).memberCount, 3);
  });

  it("missed while away is on return as if one had never left", async () => {
    const { alice, bob, carol, id } = await group();
    const { seq } = await bob.client.send(id, "before");
    await reach([alice, bob, carol], id, seq);
    carol.setOffline(true);
    const away = await person(carol.user, {}, "other");
    const last = await changeAll(alice, bob, away, id);
    carol.setOffline(false);
    await reach([alice, bob, carol, away], id, last);
    assert.deepEqual(told(viewOf(carol, id)), told(viewOf(alice, id)));
  });

  it("is the same on a second device that comes anew and reads everything", async () => {
    const { alice, bob, carol, id } = await group();
    const last = await changeAll(alice, bob, carol, id);
    await bob.client.markRead(id, last - 5);
    await reach([alice, bob, carol], id, last);
    // What each has received of others is told by itself, a moment later.
    const received = ({ user }: Person) =>
      bob.seen.get(id)?.findLast(({ sender }) => sender !== user)?.seq ?? 0;
    await until("all have received it", () => {
      const { receipts, deliveredSeq } = viewOf(bob, id);
      const others = [alice, carol].map(
        (one) => (receipts.get(one.user)?.deliveredSeq ?? 0) >= received(one),
      );
      return others.every(Boolean) && deliveredSeq >= received(bob);
    });
    const again = await personElsewhere(bob.user, bob, "other");
    await readAll(again, id);
    assert.deepEqual(toldTo(viewOf(again, id)), toldTo(viewOf(bob, id)));
    const { seq } = await again.client.send(id, "from here");
    await reach([bob, again], id, seq);
  });

  it("of a thousand by two at once, while a third is cut off now and then, is the same for all", async () => {
    const { alice, bob, carol, id } = await group();
    const { seq } = await alice.client.send(id, "target");
    const all: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i++) {
      const symbol = ["👍", "❤️", "🎉"][i % 3] ?? "";
      all.push(alice.client.send(id, `message ${i}`));
      all.push(i % 2 ? bob.client.react(id, seq, symbol) : bob.client.unreact(id, seq, symbol));
      all.push(alice.client.edit(id, seq, `target ${i}`));
      if (i % 25 === 10) carol.sockets.at(-1)?.close();
      if (i % 10 === 9) await Promise.all(all.splice(0));
    }
    const { lastSeq } = await alice.client.getConversation(id);
    await reach([alice, bob, carol], id, lastSeq);
    const fresh = await person(carol.user, {}, "fresh");
    await readAll(fresh, id);
    for (const one of [alice, bob, carol, fresh])
      assert.deepEqual(told(viewOf(one, id)), told(viewOf(alice, id)), one.user);
  });
});

describe("a page of history", () => {
  it("tells a message as it stands, and what was redacted is empty everywhere", async () => {
    const { alice, bob, id } = await group();
    const { seq } = await alice.client.send(id, "secret");
    const other = (await alice.client.send(id, "kept")).seq;
    await alice.client.edit(id, seq, "still secret", { mentions: [bob.user] });
    const edited = await alice.client.edit(id, other, "kept, edited");
    const reacted = await bob.client.react(id, other, "👍");
    const redacted = await alice.client.redact(id, seq);
    const contents = async (events: readonly ConversationEvent[]) =>
      events.map(({ content }) => content);
    const [, gone, kept, edit] = await contents((await bob.client.history(id)).events);
    assert.ok(gone?.kind === "message" && kept?.kind === "message");
    assert.deepEqual([text(gone.body), gone.redactedSeq, gone.mentions], ["", redacted, []]);
    assert.deepEqual([text(kept.body), kept.editedSeq], ["kept, edited", edited]);
    assert.deepEqual(kept.reactions, [{ symbol: "👍", count: 1, mine: true }]);
    assert.equal(kept.reactionsSeq, reacted);
    assert.ok(edit?.kind === "messageEdited" && edit.body.length === 0 && !edit.mentions.length);
    const late = await person(bob.user, { cursors: new Map([[id, 1]]) }, "late");
    await until("it has all", () => late.seen.get(id)?.at(-1)?.seq === redacted);
    assert.ok(!bodies(late.seen.get(id)).includes("secret"));
  });

  it("is read in both directions by itself", async () => {
    const { alice, id } = await group();
    for (let i = 0; i < 25; i++) await alice.client.send(id, `${i}`);
    const seqs: number[] = [];
    for await (const page of alice.client.historyPages(id, { limit: 10 }))
      seqs.unshift(...page.events.map(({ seq }) => seq));
    assert.deepEqual(
      seqs,
      Array.from({ length: 26 }, (_, i) => i + 1),
    );
    const forth: number[] = [];
    for await (const page of alice.client.historyPages(id, { after: 0, limit: 10 }))
      forth.push(...page.events.map(({ seq }) => seq));
    assert.deepEqual(forth, seqs);
  });
});

describe("a member that is none any more", () => {
  it("has everything up to its going and nothing after, and may read that still", async () => {
    const { alice, bob, carol, id } = await group();
    await alice.client.send(id, "before");
    const gone = await alice.client.removeMember(id, bob.user);
    const { seq: after } = await alice.client.send(id, "after");
    await reach([alice, carol], id, after);
    await until("bob knows", () => bob.left.get(id) === gone);
    assert.deepEqual(
      bob.seen.get(id)?.map(({ seq }) => seq),
      Array.from({ length: gone }, (_, i) => i + 1),
    );
    assert.equal(ownRole(viewOf(bob, id)), undefined);
    const page = await bob.client.history(id);
    assert.equal(page.events.at(-1)?.seq, gone);
    assert.deepEqual(bodies(page.events), ["before"]);
    await assert.rejects(bob.client.send(id, "still here?"), refused("NOT_FOUND"));
    assert.equal(memberCount(viewOf(carol, id)), 2);
  });

  it("while away has what it missed up to its going, then the word of it", async () => {
    const { alice, bob, id } = await group();
    bob.setOffline(true);
    await alice.client.send(id, "missed");
    const gone = await alice.client.removeMember(id, bob.user);
    await alice.client.send(id, "not for bob");
    bob.setOffline(false);
    await until("bob knows", () => bob.left.get(id) === gone);
    assert.deepEqual(bodies(bob.seen.get(id)), ["missed"]);
    assert.equal(bob.seen.get(id)?.at(-1)?.seq, gone);
  });

  it("and joins again sees from there on, or all in a group with full history", async () => {
    for (const fullHistory of [false, true]) {
      const { alice, bob, carol, id } = await group("Returns", { fullHistory });
      await alice.client.send(id, "one");
      const gone = await bob.client.leave(id);
      await until("bob knows", () => bob.left.get(id) === gone);
      await alice.client.send(id, "two");
      const back = await alice.client.addMembers(id, [bob.user]);
      const { seq } = await alice.client.send(id, "three");
      await reach([alice, bob, carol], id, seq);
      assert.equal(ownRole(viewOf(bob, id)), "member");
      await readAll(bob, id);
      const { entries } = newestEntries(viewOf(bob, id));
      assert.equal(entries[0]?.seq, fullHistory ? 1 : back);
      if (fullHistory) assert.deepEqual(told(viewOf(bob, id)), told(viewOf(alice, id)));
    }
  });

  it("is told no reactions, and no number of one that came after its going", async () => {
    const { alice, bob, carol, id } = await group();
    const { seq } = await alice.client.send(id, "hello");
    await carol.client.react(id, seq, "👍");
    const gone = await bob.client.leave(id);
    const later = await carol.client.react(id, seq, "🎉");
    const [, told] = (await bob.client.history(id)).events;
    assert.ok(told?.content.kind === "message");
    assert.ok(gone < later);
    assert.deepEqual([told.content.reactions, told.content.reactionsSeq], [[], 0]);
  });
});

describe("receipts", () => {
  it("are told to the others, and to one's own other devices with what is unread", async () => {
    const { alice, bob, id } = await group();
    const other = await personElsewhere(bob.user, bob, "other");
    await alice.client.send(id, "one");
    const { seq } = await alice.client.send(id, "two");
    await reach([alice, bob, other], id, seq);
    assert.equal(unreadCount(viewOf(other, id)), 2);
    await until("both have received it", () => receiptsOf(viewOf(alice, id), seq).delivered === 2);
    assert.equal(receiptsOf(viewOf(alice, id), seq).read, 0);
    const mark = await bob.client.markRead(id, seq - 1);
    assert.deepEqual(mark, { deliveredSeq: seq, readSeq: seq - 1, unreadCount: 1 });
    await until("the other device knows", () => unreadCount(viewOf(other, id)) === 1);
    await until("alice knows", () => receiptsOf(viewOf(alice, id), seq - 1).read === 1);
    assert.deepEqual(await alice.client.receipts(id, seq), { deliveredCount: 2, readCount: 0 });
    bob.views.markRead(id);
    await until("all is read", () => unreadCount(viewOf(other, id)) === 0);
    const late = await person(bob.user, {}, "late");
    await until("it is told", () => late.views.all.has(id));
    assert.equal(unreadCount(viewOf(late, id)), 0);
    assert.equal(viewOf(late, id).readSeq, seq);
  });

  it("that were missed are told on return, though the log did not change", async () => {
    const { alice, bob, carol, id } = await group();
    const { seq } = await alice.client.send(id, "hello");
    await reach([alice, bob, carol], id, seq);
    await until("all have received it", () => receiptsOf(viewOf(alice, id), seq).delivered === 2);
    alice.setOffline(true);
    await bob.client.markRead(id, seq);
    alice.setOffline(false);
    await until("alice knows", () => receiptsOf(viewOf(alice, id), seq).read === 1);
  });

  it("of a redacted message are no unread message", async () => {
    const { alice, bob, id } = await group();
    const { seq } = await alice.client.send(id, "oops");
    await until("bob has it", () => unreadCount(viewOf(bob, id)) === 1);
    await alice.client.redact(id, seq);
    await until("it is none any more", () => unreadCount(viewOf(bob, id)) === 0);
    assert.equal((await bob.client.getConversation(id)).unreadCount, 0);
  });
});

describe("a mute", () => {
  it("is told to one's other devices, also to who was away, and to nobody else", async () => {
    const { alice, bob, id } = await group();
    const other = await personElsewhere(bob.user, bob, "other");
    await until("it is told", () => other.views.all.has(id));
    const untilMs = Date.now() + 3_600_000;
    await bob.client.setMute(id, untilMs);
    await until("the other device knows", () => viewOf(other, id).mutedUntilMs === untilMs);
    assert.equal(viewOf(bob, id).mutedUntilMs, untilMs);
    other.setOffline(true);
    await bob.client.setMute(id, Infinity);
    other.setOffline(false);
    await until("it knows that too", () => viewOf(other, id).mutedUntilMs > untilMs);
    assert.equal(viewOf(alice, id).mutedUntilMs, 0);
  });
});
