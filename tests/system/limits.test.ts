import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { closeAll, freshUser, pidOf, type Raw, rawSession, server, until } from "./support.ts";

const configured = readFileSync(server.config, "utf8");

/** Puts other allowances into the running server's file and tells it. */
function allow(limits: Record<string, number>): void {
  const lines = Object.entries(limits).map(([name, value]) => `${name} = ${value}`);
  const before = configured.slice(0, configured.indexOf("[limits]"));
  writeFileSync(server.config, [before, "[limits]", ...lines, ""].join("\n"));
  process.kill(pidOf("martlet.pid"), "SIGHUP");
}

function restore(): void {
  writeFileSync(server.config, configured);
  process.kill(pidOf("martlet.pid"), "SIGHUP");
}

after(() => {
  restore();
  closeAll();
});

let lastRequest = 0;

async function ping(one: Raw): Promise<number> {
  const id = ++lastRequest;
  one.command(id, { $case: "ping", value: {} });
  const { error } = await one.reply(id);
  if (!error) return 0;
  assert.equal(error.code, "RESOURCE_EXHAUSTED");
  assert.ok(error.retryAfterMs > 0);
  return error.retryAfterMs;
}

/** Until the worker of this session has read the new file, which is shown by a refusal. */
const untilRefused = (one: Raw) => until("a refusal", async () => (await ping(one)) > 0);

describe("a user's allowance", () => {
  it("is changed by HUP without a reconnect; beyond it commands are refused for as long as it says", async () => {
    const user = freshUser("eager");
    const one = await rawSession(user);
    const other = await rawSession(user);
    const stranger = await rawSession(freshUser("calm"));
    allow({ commands_per_second: 2, command_burst: 5 });
    try {
      await untilRefused(one);
      const wait = await ping(one);
      assert.ok(wait <= 500, `${wait} ms for one of two a second`);
      // A worker whose turn it is to read the file refuses neither who has not asked much.
      assert.equal(await ping(stranger), 0);
      // Waiting as long as it says is enough.
      const told = await ping(one);
      const then = Date.now() + told;
      await until("the wait is over", () => Date.now() > then);
      assert.equal(await ping(one), 0);
      // More sessions buy no more on the same node; on another the user has the same once more.
      await untilRefused(other);
    } finally {
      restore();
    }
    await until("the old limits are back", async () => (await ping(one)) === 0);
    for (const each of [one, other, stranger]) each.close();
  });

  it("for writing is one of its own: reading goes on", async () => {
    const one = await rawSession(freshUser("writer"));
    allow({ commands_per_second: 1000, command_burst: 1000, writes_per_second: 1, write_burst: 2 });
    try {
      await until("writing is refused", async () => {
        const id = ++lastRequest;
        one.command(id, { $case: "openDirect", value: { user: "nobody-in-particular" } });
        return (await one.reply(id)).error?.code === "RESOURCE_EXHAUSTED";
      });
      assert.equal(await ping(one), 0);
    } finally {
      restore();
    }
    one.close();
  });

  it("is not to be ignored for ever: the session is closed with 4009, the others of the user go on", async () => {
    const one = await rawSession(freshUser("flood"));
    const calm = await rawSession(freshUser("calm"));
    allow({ commands_per_second: 1, command_burst: 1 });
    try {
      await untilRefused(one);
      for (let i = 0; i < 400; i++) one.command(0, { $case: "ping", value: {} });
      assert.equal((await one.closed).code, 4009);
      assert.ok((await ping(calm)) >= 0);
    } finally {
      restore();
    }
    calm.close();
  });

  it("that is written wrong changes nothing, and nobody is disconnected", async () => {
    const one = await rawSession(freshUser("steady"));
    allow({ commands_per_second: 0 });
    try {
      for (let i = 0; i < 50; i++) assert.equal(await ping(one), 0);
    } finally {
      restore();
    }
    one.close();
  });
});
