import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { freshUser, person, until } from "../system/support.ts";
import {
  assertNoErrors,
  choose,
  conversation,
  createGroup,
  enter,
  isGone,
  leave,
  messageOf,
  openDirect,
  type Someone,
  sees,
  shown,
  signIn,
  signInElsewhere,
  useBrowser,
  write,
} from "./support.ts";

useBrowser();

/** Two in a direct conversation, on two workers, with one message of each. */
async function pair(): Promise<{ alice: Someone; bob: Someone }> {
  const alice = await signIn("alice");
  const bob = await signInElsewhere("bob", alice);
  await openDirect(alice, bob);
  await write(alice, "from alice");
  await enter(bob, alice.user);
  await write(bob, "from bob");
  await sees(alice, 2);
  await sees(bob, 2);
  return { alice, bob };
}

/** Three in a group, of which the first is the owner. */
async function trio(title: string): Promise<{ alice: Someone; bob: Someone; carol: Someone }> {
  const alice = await signIn("alice");
  const bob = await signInElsewhere("bob", alice);
  const carol = await signIn("carol");
  await createGroup(alice, title, [bob, carol]);
  for (const one of [bob, carol]) await enter(one, title);
  return { alice, bob, carol };
}

const text = (one: Someone, words: string) => one.page.getByText(words, { exact: false }).first();
const ticks = (one: Someone, words: string, name: string) =>
  messageOf(one, words).getByRole("img", { name, exact: true });
const details = (one: Someone) => one.page.getByRole("region", { name: "Details" });
const openDetails = (one: Someone) =>
  one.page.getByRole("button", { name: "Details", exact: true }).click();
const notices = (one: Someone) => one.page.getByTestId("notice").allTextContents();
const member = (one: Someone, other: Someone) =>
  details(one).locator(`[data-testid=member][data-user="${other.user}"]`);

describe("a message", () => {
  it("is edited, and everybody sees what it says now", async () => {
    const { alice, bob } = await pair();
    await choose(alice, "from alice", "Edit");
    const input = alice.page.locator("[name=text]");
    assert.equal(await input.inputValue(), "from alice");
    await write(alice, "from alice, edited");
    for (const one of [alice, bob]) {
      await messageOf(one, "from alice, edited").locator(".meta", { hasText: "edited" }).waitFor();
      assert.equal((await shown(one)).length, 2);
    }
    assert.equal(await input.inputValue(), "");
    await choose(alice, "from bob", "Reply");
    await input.press("Escape");
    await isGone(alice.page.getByRole("button", { name: "Do not reply" }));
    await assertNoErrors(alice, bob);
    await leave(alice, bob);
  });

  it("is deleted after a question, for everybody", async () => {
    const { alice, bob } = await pair();
    await choose(alice, "from alice", "Delete");
    await alice.page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await choose(alice, "from alice", "Delete");
    await alice.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    for (const one of [alice, bob]) await messageOf(one, "Message deleted").waitFor();
    assert.ok(!(await shown(bob)).some((message) => message.text === "from alice"));
    await assertNoErrors(alice, bob);
    await leave(alice, bob);
  });

  it("has reactions, counted, and one's own can be taken back", async () => {
    const { alice, bob } = await pair();
    await choose(alice, "from bob", "❤️");
    await choose(bob, "from bob", "❤️");
    const chip = (one: Someone) => messageOf(one, "from bob").getByTestId("reaction");
    for (const one of [alice, bob])
      await until("two reacted", async () => (await chip(one).textContent()) === "❤️2");
    assert.equal(await chip(alice).getAttribute("aria-pressed"), "true");
    await chip(alice).click();
    await until("one is left", async () => (await chip(bob).textContent()) === "❤️1");
    await chip(bob).click();
    for (const one of [alice, bob]) await isGone(chip(one));
    await assertNoErrors(alice, bob);
    await leave(alice, bob);
  });

  it("answers another one, and leads to it", async () => {
    const { alice, bob } = await pair();
    await choose(bob, "from alice", "Reply");
    await write(bob, "an answer");
    for (const one of [alice, bob]) {
      const quote = messageOf(one, "an answer").locator("button.quote");
      await quote.filter({ hasText: "from alice" }).waitFor();
      await quote.click();
      await one.page.locator(".message.found", { hasText: "from alice" }).first().waitFor();
    }
    await leave(alice, bob);
  });

  it("has one tick when it is sent, two when it came, coloured ones when it was read", async () => {
    const alice = await signIn("alice");
    const bobName = freshUser("bob");
    await openDirect(alice, { user: bobName });
    await write(alice, "are you there?");
    await ticks(alice, "are you there?", "sent").waitFor();
    const bob = await signIn("bob", { user: bobName });
    await ticks(alice, "are you there?", "delivered").waitFor();
    assert.equal(
      await conversation(bob, alice.user).getByTestId("unread").textContent(),
      "11 unread",
    );
    await enter(bob, alice.user);
    await ticks(alice, "are you there?", "read").waitFor();
    await bob.page.getByTestId("unread").waitFor({ state: "hidden" });
    await leave(alice, bob);
  });

  it("that was refused says why, and is sent again or discarded", async () => {
    const { alice, bob, carol } = await trio("Refusals");
    // What the page does not know yet: the group was closed a moment ago.
    await bob.context.setOffline(true);
    await write(bob, "too late");
    await bob.page.getByTestId("draft").waitFor();
    await openDetails(alice);
    await details(alice).getByRole("switch", { name: "Announcements" }).check();
    await text(carol, "let only admins write").waitFor();
    await bob.context.setOffline(false);
    const draft = bob.page.getByTestId("draft");
    await draft.getByText("Not sent:").waitFor();
    await text(bob, "Only admins can write here.").waitFor();
    await details(alice).getByRole("switch", { name: "Announcements" }).uncheck();
    await text(carol, "let everybody write").waitFor();
    await draft.getByRole("button", { name: "Send again" }).click();
    await messageOf(carol, "too late").waitFor();
    await isGone(draft);
    await leave(alice, bob, carol);
  });

  it("mentions members, who are offered while one writes, and is marked for them", async () => {
    const { alice, bob, carol } = await trio("Mentions");
    const input = alice.page.locator("[name=text]");
    await input.pressSequentially(`hello @${bob.user.slice(0, 3)}`);
    await alice.page.getByRole("option", { name: `@${bob.user}` }).waitFor();
    await input.press("Enter");
    assert.equal(await input.inputValue(), `hello @${bob.user} `);
    await input.press("Enter");
    assert.equal(await messageOf(bob, "hello").locator("mark.me").textContent(), `@${bob.user}`);
    await messageOf(carol, "hello").locator("mark:not(.me)").waitFor();
    await leave(alice, bob, carol);
  });
});

describe("the log", () => {
  it("shows the day, and where what is new begins", async () => {
    const { alice, bob } = await pair();
    await enter(bob, alice.user);
    await createGroup(bob, "Elsewhere", []);
    await write(alice, "while you were out");
    await conversation(bob, alice.user).getByTestId("unread").waitFor();
    await enter(bob, alice.user);
    const lines = bob.page.getByRole("log").getByRole("separator");
    await until("both lines are there", async () => (await lines.count()) === 2);
    assert.deepEqual(await lines.allTextContents(), ["Today", "New messages"]);
    await leave(alice, bob);
  });

  it("loads what is older as one scrolls to it", async () => {
    const bob = await person(freshUser("bob"));
    const user = freshUser("alice");
    const { id } = await bob.client.openDirect(user);
    for (let i = 1; i <= 250; i++) await bob.client.send(id, `message ${i}`);
    const alice = await signIn("alice", { user });
    await enter(alice, bob.user);
    await sees(alice, 100);
    for (let i = 0; i < 20 && (await shown(alice)).length < 250; i++) {
      const before = (await shown(alice)).length;
      await alice.page.getByRole("log").evaluate((log) => {
        log.scrollTop = 0;
      });
      await sees(alice, Math.min(250, before + 1));
    }
    assert.deepEqual(
      (await shown(alice)).map((message) => message.text),
      Array.from({ length: 250 }, (_, i) => `message ${i + 1}`),
    );
    await leave(alice);
  });

  it("is walked through with the keyboard", async () => {
    const { alice, bob } = await pair();
    await messageOf(alice, "from bob").getByRole("button", { name: "Message actions" }).focus();
    await alice.page.keyboard.press("ArrowUp");
    await alice.page.keyboard.press("Enter");
    await alice.page.getByRole("menu").waitFor();
    for (let i = 0; i < 6; i++) await alice.page.keyboard.press("ArrowDown");
    await alice.page.keyboard.press("Enter");
    await alice.page.getByRole("button", { name: "Do not reply" }).waitFor();
    await alice.page.keyboard.type("by keyboard");
    await alice.page.keyboard.press("Enter");
    await messageOf(bob, "by keyboard").locator(".quote", { hasText: "from alice" }).waitFor();
    await leave(alice, bob);
  });
});

describe("a group", () => {
  it("is renamed, gains and loses members, and hands out roles, and tells of all that", async () => {
    const { alice, bob, carol } = await trio("First name");
    const dave = await signIn("dave");
    await openDetails(alice);
    await details(alice).getByLabel("Title").fill("Second name");
    await details(alice).getByRole("button", { name: "Rename" }).click();
    for (const one of [alice, bob, carol])
      await one.page.locator("main h2", { hasText: "Second name" }).waitFor();
    await details(alice).getByLabel("Add members").fill(dave.user);
    await details(alice).getByRole("button", { name: "Add", exact: true }).click();
    await enter(dave, "Second name");
    await member(alice, dave).waitFor();
    await member(alice, bob).getByRole("button").click();
    await alice.page.getByRole("menuitem", { name: "Make admin" }).click();
    await member(alice, bob).getByText("Admin").waitFor();
    await openDetails(bob);
    await member(bob, carol).getByRole("button").click();
    await bob.page.getByRole("menuitem", { name: "Remove from group" }).click();
    await text(carol, "You are no longer a member of this group.").waitFor();
    await isGone(member(alice, carol));
    await openDetails(dave);
    await details(dave).getByRole("button", { name: "Leave group" }).click();
    await dave.page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
    await text(dave, "You are no longer a member of this group.").waitFor();
    await until("alice read of all", async () => (await notices(alice)).length === 6);
    assert.deepEqual(await notices(alice), [
      "You created the group “First name”",
      "You renamed the group to “Second name”",
      `You added ${dave.user}`,
      `You made ${bob.user} an admin`,
      `${bob.user} removed ${carol.user}`,
      `${dave.user} left`,
    ]);
    assert.equal((await notices(carol)).at(-1), `${bob.user} removed you`);
    assert.equal(await alice.page.getByTestId("about").textContent(), "2 members");
    await assertNoErrors(alice, bob, carol, dave);
    await leave(alice, bob, carol, dave);
  });

  it("is muted on all devices of a user, and unmuted", async () => {
    const { alice, bob, carol } = await trio("Loud");
    const phone = await signIn("bob", {
      user: bob.user,
      viewport: { width: 390, height: 780 },
      hasTouch: true,
    });
    await openDetails(bob);
    await details(bob).getByRole("button", { name: "Mute" }).click();
    await bob.page.getByRole("menuitem", { name: "Until I say otherwise" }).click();
    for (const one of [bob, phone])
      await conversation(one, "Loud").getByRole("img", { name: "muted" }).waitFor();
    await details(bob).getByRole("button", { name: "Unmute" }).click();
    await isGone(conversation(phone, "Loud").getByRole("img", { name: "muted" }));
    await leave(alice, bob, carol, phone);
  });
});

describe("who is there", () => {
  it("is shown as it changes, and who types as long as it does", async () => {
    const { alice, bob } = await pair();
    const about = alice.page.getByTestId("about");
    await about.filter({ hasText: "online" }).waitFor();
    await conversation(alice, bob.user).locator(".dot.online").waitFor();
    const typing = alice.page.getByTestId("typing");
    await until("alice sees it", async () => {
      // It is said every few seconds, with whatever key comes then.
      await bob.page.locator("[name=text]").pressSequentially("so ");
      return (await typing.textContent()) === `${bob.user} is typing`;
    });
    await bob.page.locator("[name=text]").fill("");
    await until("bob stopped", async () => (await typing.textContent()) === "");
    await leave(bob);
    await about.filter({ hasText: "last seen" }).waitFor();
    await leave(alice);
  });

  it("is not shown across a block, which ends writing until it is taken back", async () => {
    const { alice, bob } = await pair();
    await bob.page.getByTestId("about").filter({ hasText: "online" }).waitFor();
    await openDetails(alice);
    await details(alice)
      .getByRole("button", { name: `Block ${bob.user}` })
      .click();
    await alice.page.getByRole("dialog").getByRole("button", { name: "Block" }).click();
    await text(alice, `You blocked ${bob.user}.`).waitFor();
    await bob.page.getByTestId("about").filter({ hasText: "offline" }).waitFor();
    await write(bob, "hello?");
    await bob.page.getByTestId("draft").getByText("Not sent:").waitFor();
    await alice.page.reload();
    await enter(alice, bob.user);
    await alice.page.getByRole("button", { name: "Unblock" }).first().click();
    await alice.page.locator("[name=text]").waitFor();
    await bob.page.getByRole("button", { name: "Send again" }).click();
    await messageOf(alice, "hello?").waitFor();
    await bob.page.getByTestId("about").filter({ hasText: "online" }).waitFor();
    await leave(alice, bob);
  });
});

describe("a connection that is lost", () => {
  it("is told with a countdown, and what is written waits and goes", async () => {
    const { alice, bob } = await pair();
    await bob.context.setOffline(true);
    await write(bob, "written while away");
    const banner = bob.page.getByTestId("banner");
    await banner.getByText("Trying again in").waitFor();
    assert.equal((await shown(alice)).length, 2);
    await bob.context.setOffline(false);
    await messageOf(alice, "written while away").waitFor();
    await banner.waitFor({ state: "hidden" });
    await isGone(bob.page.getByTestId("draft"));
    await leave(alice, bob);
  });
});

describe("a phone", () => {
  it("shows one thing at a time", async () => {
    const bob = await person(freshUser("bob"));
    const phone = await signIn("alice", { viewport: { width: 390, height: 780 }, hasTouch: true });
    const { id } = await bob.client.openDirect(phone.user);
    await bob.client.send(id, "hello phone");
    await enter(phone, bob.user);
    await messageOf(phone, "hello phone").waitFor();
    assert.equal(await conversation(phone, bob.user).isVisible(), false);
    await openDetails(phone);
    await details(phone).getByText(bob.user, { exact: true }).waitFor();
    await details(phone).getByRole("button", { name: "Close details" }).click();
    await phone.page.getByRole("button", { name: "Back" }).click();
    await conversation(phone, bob.user).waitFor();
    const width = await phone.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 390, `${width} pixels fit`);
    await assertNoErrors(phone);
    await leave(phone);
  });
});
