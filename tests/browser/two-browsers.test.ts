import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until, workers } from "../system/support.ts";
import {
  connected,
  createGroup,
  enter,
  openDirect,
  type Someone,
  sees,
  shown,
  signIn,
  signInElsewhere,
  useBrowser,
  workerOf,
  write,
} from "./support.ts";

useBrowser();

async function assertSame(a: Someone, b: Someone, count: number): Promise<void> {
  await sees(a, count);
  await sees(b, count);
  const [one, other] = [await shown(a), await shown(b)];
  assert.equal(one.length, count);
  assert.deepEqual(one, other);
  assert.equal(new Set(one.map(({ text }) => text)).size, count, "each once");
}

async function talk(a: Someone, b: Someone, count: number, name: string): Promise<void> {
  const say = async (one: Someone, who: string) => {
    for (let i = 1; i <= count; i++) await write(one, `${name} ${who}${i}`);
  };
  await Promise.all([say(a, "a"), say(b, "b")]);
}

describe("two browsers on two workers", () => {
  it("exchange 100 messages each way in a direct chat and a group, through all that happens to them", async () => {
    const alice = await signIn("alice");
    const bob = await signInElsewhere("bob", alice);
    await openDirect(alice, bob);
    await enter(bob, alice.user);
    await talk(alice, bob, 100, "direct");
    await assertSame(alice, bob, 200);

    // A group.
    await createGroup(alice, "Martlets", [bob]);
    await enter(bob, "Martlets");
    await talk(alice, bob, 100, "group");
    await assertSame(alice, bob, 200);

    // One goes offline, misses 20, comes back and has them, once.
    await bob.context.setOffline(true);
    for (let i = 1; i <= 20; i++) await write(alice, `missed ${i}`);
    await sees(alice, 220);
    await write(bob, "written while away");
    await bob.context.setOffline(false);
    await assertSame(alice, bob, 221);

    // A worker dies in the middle.
    const before = workers();
    const index = (await workerOf(bob)) - 1;
    const talking = talk(alice, bob, 20, "killed");
    process.kill(before[index] ?? 0, "SIGKILL");
    await talking;
    await assertSame(alice, bob, 261);

    // A reload keeps the session and the history.
    const all = await shown(alice);
    await bob.page.reload();
    await connected(bob.page);
    await enter(bob, "Martlets");
    await until("the history is back", async () => {
      // It may be gone in between: the page loads by itself what one scrolls to.
      const older = bob.page.getByTestId("older");
      await older.evaluateAll((all) => (all[0] as HTMLElement | undefined)?.click());
      return (await shown(bob)).length === all.length;
    });
    assert.deepEqual(await shown(bob), all);
    await alice.context.close();
    await bob.context.close();
  });

  it("show what a message says as text, whatever it says", async () => {
    const alice = await signIn("alice");
    const bob = await signIn("bob");
    await openDirect(alice, bob);
    await enter(bob, alice.user);
    const texts = ["<img src=x onerror=alert(1)>", "\u202ertl", "x".repeat(4000)];
    for (const text of texts) await write(alice, text);
    await sees(bob, 3);
    assert.deepEqual(
      (await shown(bob)).map(({ text }) => text),
      texts,
    );
    assert.deepEqual([...alice.errors, ...bob.errors], []);
    await alice.context.close();
    await bob.context.close();
  });
});
