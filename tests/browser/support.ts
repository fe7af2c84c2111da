/** What the browser tests share: one Chromium, and people who sit before its pages. */
import assert from "node:assert/strict";
import { after, before } from "node:test";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from "playwright-core";
import { closeAll, freshUser, server, until } from "../system/support.ts";

let browser: Browser;

/** To be called once in each file. */
export function useBrowser(): void {
  before(async () => {
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
    });
  });
  after(async () => {
    closeAll();
    await browser.close();
  });
}

/** The origin must be one that the server allows: it is named localhost there. */
const address = server.http.replace("127.0.0.1", "localhost");

export const connected = (page: Page) =>
  page.waitForSelector("[data-testid=state][data-state=connected]");
const nodeOf = (one: Someone) => one.page.getByTestId("state").getAttribute("data-node");
export const workerOf = async (one: Someone): Promise<number> =>
  Number((await nodeOf(one))?.split(".").at(-1));

export interface Someone {
  readonly user: string;
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page complained of: its own errors, and what its policy forbids. */
  readonly errors: readonly string[];
}

export interface SignIn extends BrowserContextOptions {
  readonly user?: string;
  readonly token?: string;
}

export async function signIn(name: string, options: SignIn = {}): Promise<Someone> {
  const { user = freshUser(name), token = "", ...more } = options;
  const context = await browser.newContext(more);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(address);
  await page.getByLabel("Your name").fill(user);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await connected(page);
  return { user, page, context, errors };
}

/** Signed in on another worker than `than`. */
export async function signInElsewhere(name: string, than: Someone): Promise<Someone> {
  for (let i = 0; i < 50; i++) {
    const one = await signIn(name);
    if ((await nodeOf(one)) !== (await nodeOf(than))) return one;
    await one.context.close();
  }
  throw new Error("all connections fell to one worker");
}

export async function leave(...people: readonly Someone[]): Promise<void> {
  for (const { context } of people) await context.close();
}

export async function write(one: Someone, text: string): Promise<void> {
  const input = one.page.locator("[name=text]");
  await input.fill(text);
  await input.press("Enter");
}

export async function openDirect(one: Someone, other: { user: string }): Promise<void> {
  await one.page.getByRole("button", { name: "New chat" }).click();
  await one.page.getByLabel("Chat with").fill(other.user);
  await one.page.getByRole("button", { name: "Open chat" }).click();
  await one.page.locator("main h2", { hasText: other.user }).first().waitFor();
}

export async function createGroup(
  one: Someone,
  title: string,
  others: readonly { user: string }[],
): Promise<void> {
  await one.page.getByRole("button", { name: "New chat" }).click();
  await one.page.getByLabel("Group's title").fill(title);
  await one.page.getByLabel("Members, with commas").fill(others.map(({ user }) => user).join(", "));
  await one.page.getByRole("button", { name: "Create group" }).click();
  await one.page.locator("main h2", { hasText: title }).first().waitFor();
}

export const conversation = (one: Someone, name: string): Locator =>
  one.page.getByTestId("conversation").filter({ hasText: name }).first();
export const enter = (one: Someone, name: string) => conversation(one, name).click();

/** The messages as they stand on the page, with their numbers. */
export const shown = ({ page }: { page: Page }): Promise<{ seq: number; text: string }[]> =>
  page.getByTestId("message").evaluateAll((all) =>
    all.map((view) => ({
      seq: Number(view.getAttribute("data-seq")),
      text: view.querySelector("[data-testid=text]")?.textContent ?? "",
    })),
  );

export const sees = (one: Someone, count: number) =>
  until(`${one.user} sees ${count}`, async () => (await shown(one)).length >= count, 60_000);

export const messageOf = (one: Someone, text: string): Locator =>
  one.page.getByTestId("message").filter({ hasText: text }).last();

/** Chooses something from a message's menu. */
export async function choose(one: Someone, text: string, name: string): Promise<void> {
  const message = messageOf(one, text);
  await message.hover();
  await message.getByRole("button", { name: "Message actions" }).click();
  await one.page.getByRole("menu").locator("button").filter({ hasText: name }).first().click();
}

export const isGone = (locator: Locator) => locator.waitFor({ state: "detached" });

export async function assertNoErrors(...people: readonly Someone[]): Promise<void> {
  for (const { user, errors } of people) assert.deepEqual(errors, [], user);
}
