import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, describe, it } from "node:test";
import type { Command } from "../../clients/web/src/codec.ts";
import {
  closeAll,
  freshUser,
  hello,
  person,
  raw,
  rawSession,
  server,
  token,
  until,
} from "./support.ts";

after(closeAll);

const uuid = () => crypto.randomUUID();
const bytes = (size: number) => new Uint8Array(size).fill(0xff);

/** What the server says to an HTTP request on the WebSocket's port. */
async function request(...lines: string[]): Promise<string> {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.on("data", (data) => {
    answer += data.toString("latin1");
  });
  socket.write([...lines, "", ""].join("\r\n"));
  await new Promise((resolve) =>
    socket
      .on("close", resolve)
      .on("error", resolve)
      .setTimeout(15_000, () => socket.destroy()),
  );
  return answer;
}

const upgrade = (more: Record<string, string> = {}, first = "GET /v1/ws HTTP/1.1") => {
  const headers: Record<string, string> = {
    Host: "localhost",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "martlet.v1",
    ...more,
  };
  return [first, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
};

describe("a connection that does not keep the protocol", () => {
  const closes: [string, (one: Awaited<ReturnType<typeof raw>>) => void, number][] = [
    ["bytes that are no frame", (one) => one.send(bytes(10)), 4000],
    ["a text message", (one) => one.send("hello"), 4000],
    ["a command before Hello", (one) => one.command(1, { $case: "ping", value: {} }), 4000],
    ["a message above the limit", (one) => one.send(bytes(65537)), 1009],
    ["a message far above the limit", (one) => one.send(bytes(3_000_000)), 1009],
    ["a token that is none", (one) => one.command(0, hello("x.y.z")), 4002],
    ["an empty token", (one) => one.command(0, hello("")), 4002],
  ];
  for (const [what, act, code] of closes)
    it(`${what}: is closed with ${code}`, async () => {
      const one = await raw();
      act(one);
      assert.equal((await one.closed).code, code);
    });

  it("an expired token: is closed with 4003", async () => {
    const signed = token(freshUser("alice"), "--ttl", "1");
    await until("it has expired, and the leeway is over", () => {
      const { exp } = JSON.parse(atob(signed.split(".")[1] ?? ""));
      return Date.now() > exp * 1000 + 5100;
    });
    const one = await raw();
    one.command(0, hello(signed));
    assert.equal((await one.closed).code, 4003);
  });

  it("a wrong device, a foreign protocol version, a bad cursor: is closed with 4000", async () => {
    const good = hello(token(freshUser("alice"))) as Extract<Command, { $case: "hello" }>;
    const bad = [
      { device: "a b" },
      { protocolMin: 2, protocolMax: 9 },
      { cursors: [{ conversationId: "no", seq: 1, stateVersion: 0 }] },
    ];
    for (const fields of bad) {
      const one = await raw();
      one.command(0, { $case: "hello", value: { ...good.value, ...fields } });
      assert.equal((await one.closed).code, 4000);
    }
  });
});

describe("a request that is no upgrade of ours is refused", () => {
  const cases: [string, string[], RegExp][] = [
    ["another path", upgrade({}, "GET /other HTTP/1.1"), /^HTTP\/1\.[01] 404/],
    ["a foreign Origin", upgrade({ Origin: "https://evil.example" }), /^HTTP\/1\.[01] 403/],
    ["an unknown subprotocol", upgrade({ "Sec-WebSocket-Protocol": "nope" }), /^HTTP\/1\.[01] 400/],
    ["Upgrade: foo", upgrade({ Upgrade: "foo" }), /^HTTP\/1\.[01] 40[03]/],
    ["Upgrade: h2c", upgrade({ Upgrade: "h2c" }), /^HTTP\/1\.[01] 400/],
    ["version 8", upgrade({ "Sec-WebSocket-Version": "8" }), /^HTTP\/1\.[01] 426/],
    ["a plain request", ["GET / HTTP/1.1", "Host: localhost"], /^HTTP\/1\.[01] 426/],
  ];
  for (const [what, lines, expected] of cases)
    it(what, async () => {
      assert.match(await request(...lines), expected);
    });

  it("two in one segment get one answer", async () => {
    const one = ["GET / HTTP/1.1", "Host: localhost", ""];
    const answer = await request(
      ...one,
      "POST / HTTP/1.1",
      "Host: localhost",
      "Content-Length: 3",
      "",
      "abc",
    );
    assert.equal(answer.split("HTTP/1.").length - 1, 1);
  });
});

describe("a command that is wrong is refused, and says what would be right", () => {
  const send = (fields: object): Command => ({
    $case: "sendMessage",
    value: {
      conversationId: uuid(),
      clientMessageId: uuid(),
      contentType: "",
      body: bytes(1),
      replyToSeq: 0,
      mentions: [],
      ...fields,
    },
  });
  const group = (fields: object): Command => ({
    $case: "createGroup",
    value: {
      conversationId: uuid(),
      title: "Title",
      members: [],
      announcement: false,
      fullHistory: false,
      ...fields,
    },
  });
  const cases: [string, Command, string, string][] = [
    ["no conversation id", send({ conversationId: "" }), "INVALID_ARGUMENT", "conversation_id"],
    [
      "an id that does not parse",
      send({ conversationId: "42" }),
      "INVALID_ARGUMENT",
      "conversation_id",
    ],
    [
      "no client_message_id",
      send({ clientMessageId: "" }),
      "INVALID_ARGUMENT",
      "client_message_id",
    ],
    ["no body", send({ body: bytes(0) }), "INVALID_ARGUMENT", "body"],
    ["a body over the limit", send({ body: bytes(16385) }), "INVALID_ARGUMENT", "body"],
    ["a strange content type", send({ contentType: "é" }), "INVALID_ARGUMENT", "content_type"],
    ["a conversation that does not exist", send({}), "NOT_FOUND", ""],
    [
      "a chat with nobody",
      { $case: "openDirect", value: { user: "" } },
      "INVALID_ARGUMENT",
      "user",
    ],
    ["a group without a title", group({ title: "" }), "INVALID_ARGUMENT", "title"],
    ["a title that shows nothing", group({ title: "\u200b" }), "INVALID_ARGUMENT", "title"],
    ["a member that is none", group({ members: ["a", "b c"] }), "INVALID_ARGUMENT", "members[1]"],
    [
      "a page that is none",
      { $case: "listConversations", value: { page: "x", limit: 0 } },
      "INVALID_ARGUMENT",
      "page",
    ],
    [
      "a limit above the limit",
      { $case: "listConversations", value: { page: "", limit: 201 } },
      "INVALID_ARGUMENT",
      "limit",
    ],
    ["another Hello", hello("x"), "FAILED_PRECONDITION", ""],
  ];
  for (const [what, command, code, field] of cases)
    it(what, async () => {
      const one = await rawSession(freshUser("mallory"));
      one.command(7, command);
      const { error } = await one.reply(7);
      assert.equal(error?.code, code);
      assert.equal(error?.field, field);
      assert.notEqual(error?.message, "");
      one.close();
    });

  it("an unknown command", async () => {
    const one = await rawSession(freshUser("mallory"));
    one.send(new Uint8Array([0x08, 0x07, 0xfa, 0x3f, 0x00]));
    assert.equal((await one.reply(7)).error?.code, "UNIMPLEMENTED");
    one.close();
  });

  it("a foreign conversation is not there: neither to read nor to write", async () => {
    const alice = await person(freshUser("alice"));
    const { id } = await alice.client.createGroup("Private", []);
    const mallory = await person(freshUser("mallory"));
    await assert.rejects(mallory.client.send(id, "hi"), { code: "NOT_FOUND" });
    await assert.rejects(mallory.client.history(id), { code: "NOT_FOUND" });
    assert.deepEqual([...mallory.seen], []);
  });
});
