import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { freshUser, server, until, workers } from "../system/support.ts";

let browser: Browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
  });
});
after(() => browser.close());

interface Someone {
  readonly user: string;
  readonly page: Page;
  readonly context: BrowserContext;
}

/** The origin must be one that the server allows: it is named localhost there. */
const address = server.http.replace("127.0.0.1", "localhost");

const connected = (page: Page) => page.waitForSelector("[data-testid=state][data-state=connected]");
const nodeOf = (page: Page) => page.getByTestId("state").getAttribute("data-node");

async function signIn(name: string): Promise<Someone> {
  const user = freshUser(name);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address);
  await page.getByLabel("Your name").fill(user);
  await page.getByRole("button", { name: "Sign in" }).click();
  await connected(page);
  return { user, page, context };
}

/** Signed in on another worker than `than`. */
async function signInElsewhere(name: string, than: Someone): Promise<Someone> {
  for (let i = 0; i < 50; i++) {
    const one = await signIn(name);
    if ((await nodeOf(one.page)) !== (await nodeOf(than.page))) return one;
    await one.context.close();
  }
  throw new Error("all connections fell to one worker");
}

async function send(one: Someone, text: string): Promise<void> {
  const input = one.page.locator("input[name=text]");
  await input.fill(text);
  await input.press("Enter");
}

/** The messages as they stand on the page, with their numbers. */
const shown = (one: Someone): Promise<{ seq: number; text: string }[]> =>
  one.page.getByTestId("message").evaluateAll((all) =>
    all.map((view) => ({
      seq: Number(view.getAttribute("data-seq")),
      text: view.firstChild?.textContent ?? "",
    })),
  );

async function openDirect(one: Someone, other: Someone): Promise<void> {
  await one.page.getByLabel("Chat with").fill(other.user);
  await one.page.getByRole("button", { name: "Open chat" }).click();
  await one.page.waitForSelector("main h2:not(:empty)");
}

const enter = (one: Someone, name: string) =>
  one.page.getByTestId("conversation").filter({ hasText: name }).first().click();

async function sees(one: Someone, count: number): Promise<void> {
  await until(`${one.user} sees ${count}`, async () => (await shown(one)).length >= count, 60_000);
}

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
    for (let i = 1; i <= count; i++) await send(one, `${name} ${who}${i}`);
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
    await alice.page.getByLabel("Group's title").fill("Martlets");
    await alice.page.getByLabel("Members, with commas").fill(bob.user);
    await alice.page.getByRole("button", { name: "Create group" }).click();
    await enter(bob, "Martlets");
    await talk(alice, bob, 100, "group");
    await assertSame(alice, bob, 200);

    // One goes offline, misses 20, comes back and has them, once.
    await bob.context.setOffline(true);
    for (let i = 1; i <= 20; i++) await send(alice, `missed ${i}`);
    await sees(alice, 220);
    await send(bob, "written while away");
    await bob.context.setOffline(false);
    await assertSame(alice, bob, 221);

    // A worker dies in the middle.
    const before = workers();
    const index = Number((await nodeOf(bob.page))?.split(".").at(-1)) - 1;
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
      const older = bob.page.getByTestId("older");
      if (await older.isVisible()) await older.click();
      return (await shown(bob)).length === all.length;
    });
    assert.deepEqual(await shown(bob), all);
    await alice.context.close();
    await bob.context.close();
  });

  it("show what a message says as text, whatever it says", async () => {
    const alice = await signIn("alice");
    const bob = await signIn("bob");
    const errors: string[] = [];
    for (const { page } of [alice, bob]) {
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    }
    await openDirect(alice, bob);
    await enter(bob, alice.user);
    const texts = ["<img src=x onerror=alert(1)>", "\u202ertl", "x".repeat(4000)];
    for (const text of texts) await send(alice, text);
    await sees(bob, 3);
    assert.deepEqual(
      (await shown(bob)).map(({ text }) => text),
      texts,
    );
    assert.deepEqual(errors, []);
    await alice.context.close();
    await bob.context.close();
  });
});
