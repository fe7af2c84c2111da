import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { freshUser, server } from "./support.ts";

const signIn = (
  body: string,
  headers: Record<string, string> = { "Content-Type": "application/json" },
) => fetch(`${server.http}/dev/sign-in`, { method: "POST", headers, body });

/** A request that fetch would not make, to the page's address. */
async function request(text: string): Promise<string> {
  const { hostname, port } = new URL(server.http);
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.on("data", (data) => {
    answer += data.toString("latin1");
    if (answer.includes("\r\n\r\n")) socket.end();
  });
  socket.write(text);
  await new Promise((resolve) => socket.on("close", resolve).on("error", resolve));
  return answer;
}

describe("the page's address", () => {
  it("serves the page under a strict policy, and not again if it is known", async () => {
    const page = await fetch(`${server.http}/`);
    const policy = page.headers.get("content-security-policy") ?? "";
    assert.equal(page.status, 200);
    assert.match(policy, /^default-src 'none'; script-src 'self';/);
    assert.match(policy, /connect-src 'self' ws:\/\/127\.0\.0\.1:\d+;/);
    assert.match(policy, /require-trusted-types-for 'script'$/);
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    const etag = page.headers.get("etag") ?? "";
    const again = await fetch(`${server.http}/`, { headers: { "If-None-Match": etag } });
    assert.equal(again.status, 304);
    const script = /src="([^"]+)"/.exec(await page.text())?.[1];
    const asset = await fetch(server.http + script);
    assert.match(asset.headers.get("cache-control") ?? "", /immutable/);
  });

  it("serves nothing outside its folder, and no other methods", async () => {
    for (const path of [
      "/../martlet.conf",
      "/%2e%2e/martlet.conf",
      "/keys",
      "/.git",
      "/index.html/",
    ]) {
      const answer = await request(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 404 /, path);
    }
    assert.equal((await fetch(`${server.http}/`, { method: "DELETE" })).status, 405);
    assert.equal((await fetch(`${server.http}/v1/ws`)).status, 426);
    assert.equal((await fetch(`${server.http}/`, { method: "HEAD" })).status, 200);
  });

  it("does not reflect a Host that is none", async () => {
    for (const host of ["a b", "x'; script-src *", "evil.example/", "a:b", "[abc", ""]) {
      const answer = await request(`GET /martlet.json HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 400 /, host);
    }
  });

  it("signs in by name, and says what is wrong", async () => {
    const good = await signIn(JSON.stringify({ user: freshUser("alice") }));
    assert.equal(good.status, 200);
    assert.equal(typeof ((await good.json()) as { token: string }).token, "string");
    assert.equal((await signIn('{"user":"a b"}')).status, 400);
    assert.equal((await signIn("{}")).status, 400);
    assert.equal((await signIn("no json")).status, 400);
    assert.equal((await signIn("x".repeat(2000))).status, 413);
    assert.equal((await signIn('{"user":"a"}', { "Content-Type": "text/plain" })).status, 415);
    assert.equal((await fetch(`${server.http}/dev/sign-in`)).status, 405);
  });
});

describe("the administrator's address", () => {
  it("says that the process runs and can serve", async () => {
    assert.equal(await (await fetch(`${server.admin}/healthz`)).text(), "ok\n");
    assert.equal(await (await fetch(`${server.admin}/readyz`)).text(), "ready\n");
    assert.equal((await fetch(`${server.admin}/`)).status, 404);
  });
});
