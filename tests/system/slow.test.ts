import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { encodeCommand } from "../../clients/web/src/codec.ts";
import {
  closeAll,
  freshUser,
  hello,
  person,
  personElsewhere,
  server,
  token,
  until,
} from "./support.ts";

after(closeAll);

/** A client's binary frame (RFC 6455, section 5.2), masked with zeros. */
function frame(payload: Uint8Array): Buffer {
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 8 : 6);
  head[0] = 0x82;
  head[1] = 0x80 | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

/** Says Hello and then never reads again. */
async function deafClient(user: string): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ port: Number(port), host: hostname });
  socket.write(
    "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Protocol: martlet.v1\r\n\r\n",
  );
  let text = "";
  await new Promise<void>((resolve) => {
    socket.on("data", (data) => {
      text += data.toString("latin1");
      if (!text.includes("101 Switching")) return;
      socket.pause();
      socket.removeAllListeners("data");
      resolve();
    });
  });
  socket.write(frame(encodeCommand(0, hello(token(user)))));
  return socket;
}

describe("a client that never reads", () => {
  it("is closed with 4008 at its bound, and hurts no one else", async () => {
    const alice = await person(freshUser("alice"));
    const bob = await person(freshUser("bob"));
    const deaf = freshUser("deaf");
    const { id } = await alice.client.createGroup("Loud", [bob.user, deaf]);
    const socket = await deafClient(deaf);
    let closed = false;
    let bytes = Buffer.alloc(0);
    socket.on("close", () => {
      closed = true;
    });
    socket.on("error", () => {});
    for (let i = 0; i < 40; i++)
      await Promise.all(Array.from({ length: 10 }, () => alice.client.send(id, "x".repeat(16000))));
    await until("bob has all", () => (bob.seen.get(id)?.length ?? 0) >= 401);
    socket.on("data", (data) => {
      bytes = Buffer.concat([bytes.subarray(-4096), data]);
    });
    socket.resume();
    await until("the server let go of it", () => closed);
    // What it is told, if the server's word still went through: a close frame with 4008.
    const at = bytes.lastIndexOf(Buffer.from([0x0f, 0xa8]));
    assert.ok(at === -1 || bytes[at - 2] === 0x88);
    assert.ok(bytes.length > 0);
    await alice.client.send(id, "still here");
  });

  it("and never will is let go in time, and its worker goes on", async () => {
    const alice = await person(freshUser("alice"));
    const bob = await personElsewhere(freshUser("bob"), alice);
    const deaf = freshUser("deaf");
    const { id } = await alice.client.createGroup("Louder", [bob.user, deaf]);
    const socket = await deafClient(deaf);
    for (let i = 0; i < 40; i++)
      await Promise.all(Array.from({ length: 10 }, () => alice.client.send(id, "x".repeat(16000))));
    const log = () => readFileSync(`${server.folder}/log/martlet.log`, "utf8");
    await until("it is being closed", () => log().includes(`user=${deaf} code=4008`));
    // The server gives it three seconds to take the close frame: both workers must be there after that.
    const end = Date.now() + 4000;
    await until("that time is over", () => Date.now() > end);
    await Promise.all([alice, bob].map(({ client }) => client.openDirect(freshUser("other"))));
    socket.destroy();
  });
});
