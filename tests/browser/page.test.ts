import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { freshUser, type Person, person, token, until } from "../system/support.ts";
import { connected, signIn, useBrowser } from "./support.ts";

useBrowser();

const count = (page: Page) => page.getByTestId("message").count();

/** A page in a conversation with `count` messages of the other one. */
async function inConversation(
  messages: number,
): Promise<{ page: Page; other: Person; id: string }> {
  const alice = freshUser("alice");
  const other = await person(freshUser("bob"));
  const { page } = await signIn("alice", { user: alice });
  const { id } = await other.client.openDirect(alice);
  for (let i = 1; i <= messages; i++) await other.client.send(id, `message ${i}`);
  await page.getByTestId("conversation").first().click();
  await until("all are there", async () => (await count(page)) === messages);
  return { page, other, id };
}

describe("the page", () => {
  it("adds a message to the log, and leaves what stands there alone", async () => {
    const { page, other, id } = await inConversation(3);
    await page.evaluate(() => {
      const log = document.querySelector("[role=log]") as HTMLElement;
      log.dataset.removed = log.dataset.added = "0";
      new MutationObserver((changes) => {
        for (const { addedNodes, removedNodes } of changes) {
          log.dataset.added = String(Number(log.dataset.added) + addedNodes.length);
          log.dataset.removed = String(Number(log.dataset.removed) + removedNodes.length);
        }
      }).observe(log, { childList: true });
      (document.querySelector("[data-testid=conversation]") as HTMLElement).focus();
    });
    await other.client.send(id, "one more");
    await until("it is there", async () => (await count(page)) === 4);
    const seen = await page.evaluate(() => ({
      ...(document.querySelector("[role=log]") as HTMLElement).dataset,
      focus: document.activeElement?.getAttribute("data-testid"),
    }));
    assert.deepEqual(seen, { added: "1", removed: "0", focus: "conversation" });
    await page.context().close();
  });

  it("keeps the place of somebody who reads further up, and follows at the end", async () => {
    const { page, other, id } = await inConversation(60);
    const place = () =>
      page.evaluate(() => {
        const log = document.querySelector("[role=log]") as HTMLElement;
        return { top: log.scrollTop, fromEnd: log.scrollHeight - log.clientHeight - log.scrollTop };
      });
    assert.ok((await place()).fromEnd < 2);
    await page.evaluate(() => {
      (document.querySelector("[role=log]") as HTMLElement).scrollTop = 300;
    });
    await other.client.send(id, "below");
    await until("it is there", async () => (await count(page)) === 61);
    assert.ok(Math.abs((await place()).top - 300) < 2);
    await page.evaluate(() => {
      (document.querySelector("[role=log]") as HTMLElement).scrollTop = 1e6;
    });
    await other.client.send(id, "at the end");
    await until("it is there", async () => (await count(page)) === 62);
    assert.ok((await place()).fromEnd < 2);
    await page.context().close();
  });

  it("keeps a pasted token for the tab, and asks for another when it is refused", async () => {
    const user = freshUser("carol");
    const { page } = await signIn("carol", { user, token: token(user) });
    await page.reload();
    await connected(page);
    await page.evaluate(() => {
      const account = JSON.parse(sessionStorage.getItem("martlet.account") ?? "{}");
      sessionStorage.setItem("martlet.account", JSON.stringify({ ...account, token: "x.y.z" }));
    });
    await page.reload();
    await page.getByText("Paste another").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("martlet.account")), null);
    await page.context().close();
  });
});
