import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { settle, setUp } from "./support.ts";

/** How a promise ended, so far. */
function watch(promise: Promise<unknown>): { end: unknown } {
  const seen: { end: unknown } = { end: undefined };
  promise.then(
    (value) => {
      seen.end = value;
    },
    (error: { code: string; message: string }) => {
      seen.end = `${error.code}: ${error.message}`;
    },
  );
  return seen;
}

describe("what is too large", () => {
  it("for a frame is refused here, and the next message goes", async () => {
    const { client, connect, wire, states } = setUp();
    await connect({ frameBytes: 2_000, bodyBytes: 4_000 });
    const large = watch(client.send("c", "x".repeat(2_000)));
    const small = client.send("c", "small");
    await settle();
    assert.match(String(large.end), /^INVALID_ARGUMENT: .*frame_bytes/);
    assert.equal(wire().asked("sendMessage").length, 1);
    wire().reply(wire().asked("sendMessage")[0], "sendMessage", { seq: 1, timeMs: 1 });
    assert.equal((await small).seq, 1);
    assert.equal(states.at(-1), "connected");
  });

  it("for a frame is 65536 bytes where the server says nothing", async () => {
    const { client, connect, wire } = setUp();
    await connect({ bodyBytes: 1_000_000 });
    const large = watch(client.send("c", "x".repeat(70_000)));
    const other = watch(client.createGroup("x".repeat(70_000), []));
    await settle();
    assert.match(String(large.end), /frame_bytes \(65536\)/);
    assert.match(String(other.end), /frame_bytes \(65536\)/);
    assert.deepEqual(wire().up.length, 1);
  });

  it("for a body is refused here, also if it was written before the limit was known", async () => {
    const { client, connect, wire } = setUp();
    const large = watch(client.send("c", "é".repeat(51)));
    const fits = watch(client.send("d", "é".repeat(50)));
    await connect({ bodyBytes: 100 });
    assert.match(String(large.end), /^INVALID_ARGUMENT: .*body_bytes \(100\)/);
    assert.equal(fits.end, undefined);
    assert.equal(wire().asked("sendMessage").length, 1);
  });

  it("for something in between that closes with 1009 is not sent again; the others are", async () => {
    const { client, clock, connect, wire, accept } = setUp();
    await connect();
    const large = watch(client.send("c", "x".repeat(9_000)));
    const next = watch(client.send("c", "next"));
    const other = watch(client.send("d", "other"));
    await settle();
    wire().handlers.closed(1009, "");
    await clock.turn(1_000);
    await accept();
    assert.match(String(large.end), /^INVALID_ARGUMENT/);
    assert.deepEqual([next.end, other.end], [undefined, undefined]);
    const sent = wire().asked("sendMessage");
    assert.deepEqual(sent.map(({ value }) => new TextDecoder().decode(value.body)).sort(), [
      "next",
      "other",
    ]);
  });

  it("for a Hello is said with fewer cursors, and at last not at all", async () => {
    const cursors = new Map(Array.from({ length: 500 }, (_, i) => [`conversation-${i}`, i + 1]));
    const { client, wire, states } = setUp({ cursors });
    client.connect();
    const counts: number[] = [];
    for (let i = 0; i < 12 && states.at(-1) !== "closed"; i++) {
      await settle();
      wire().handlers.opened();
      counts.push(wire().asked("hello")[0]?.value.cursors.length ?? -1);
      wire().handlers.closed(1009, "");
      client.probe();
    }
    assert.deepEqual(counts, [500, 250, 125, 62, 31, 15, 7, 3, 1, 0]);
    assert.equal(states.at(-1), "closed");
  });

  it("for a Hello by the limit that is known is not said", async () => {
    const cursors = new Map(Array.from({ length: 500 }, (_, i) => [`conversation-${i}`, i + 1]));
    const { connect, reconnect, wires, wire } = setUp({ cursors });
    await connect({ frameBytes: 4_096, cursors: 500 });
    await reconnect();
    assert.equal(wires.length, 2);
    const hello = wire().asked("hello")[0];
    assert.ok(hello && hello.bytes <= 4_096 && hello.value.cursors.length > 50);
  });
});

describe("the outbox's ends", () => {
  it("after close() nothing waits", async () => {
    const { client, connect } = setUp();
    await connect();
    client.close();
    const sent = watch(client.send("c", "hello"));
    await settle();
    assert.match(String(sent.end), /^CLOSED/);
    assert.deepEqual(client.pending, []);
  });

  it("an answer counts although the connection broke in the same moment", async () => {
    const { client, clock, connect, wire, accept } = setUp();
    await connect();
    const sent = watch(client.send("c", "hello"));
    await settle();
    wire().reply(wire().asked("sendMessage")[0], "sendMessage", { seq: 3, timeMs: 1 });
    wire().handlers.closed(1006, "");
    await clock.turn(1_000);
    await accept();
    assert.deepEqual(sent.end, { seq: 3, timeMs: 1 });
    assert.equal(wire().asked("sendMessage").length, 0);
  });

  it("a listener of `connected` does not overtake what waited", async () => {
    const { client, connect, wire } = setUp();
    void client.send("c", "first");
    client.on("state", ({ state }) => {
      if (state === "connected") void client.send("c", "second");
    });
    await connect();
    const bodies = () =>
      wire()
        .asked("sendMessage")
        .map(({ value }) => new TextDecoder().decode(value.body));
    assert.deepEqual(bodies(), ["first"]);
    wire().reply(wire().asked("sendMessage")[0], "sendMessage", { seq: 1, timeMs: 1 });
    await settle();
    assert.deepEqual(bodies(), ["first", "second"]);
  });

  it("close() leaves no timer behind, whatever waited", async () => {
    const { client, clock, connect, wire } = setUp();
    await connect();
    void client.send("c", "hello").catch(() => {});
    await settle();
    const error = { code: 9, message: "away", retryAfterMs: 60_000 };
    wire().reply(wire().asked("sendMessage")[0], "error", error);
    await settle();
    client.close();
    assert.equal(clock.waiting, 0);
  });
});
