import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { message, settle, setUp } from "./support.ts";

const never = () => new Promise<string>(() => {});

describe("a probe", () => {
  it("twice while it waits dials once", async () => {
    const { client, clock, connect, wire, wires, accept, states } = setUp();
    await connect();
    wire().handlers.closed(1006, "");
    client.probe();
    client.probe();
    await settle();
    client.probe();
    assert.equal(wires.length, 2);
    await accept();
    assert.equal(states.at(-1), "connected");
    await clock.turn(20_000);
    assert.equal(wires.length, 2, "nothing left over cuts the healthy connection");
    assert.equal(states.at(-1), "connected");
  });

  it("while a token is awaited starts no second attempt", async () => {
    const { client, connect, wire, wires, fresh, accept } = setUp();
    await connect();
    wire().handlers.closed(1006, "");
    client.probe();
    client.probe();
    await settle();
    assert.equal(fresh.length, 2);
    await accept();
    assert.equal(wires.length, 2);
  });

  it("asked from a listener of the state does not dial twice", async () => {
    const { client, clock, connect, wire, wires } = setUp();
    client.on("state", ({ state }) => state === "reconnecting" && client.probe());
    await connect();
    wire().handlers.closed(1006, "");
    await clock.turn(1_000);
    assert.equal(wires.length, 2);
  });

  it("does not come back before the server's own delay", async () => {
    const { client, clock, connect, wire, wires } = setUp();
    await connect();
    wire().down({ $case: "draining", value: { reconnectAfterMs: 1500 } });
    wire().handlers.closed(1012, "");
    client.probe();
    await clock.turn(1499);
    assert.equal(wires.length, 1);
    await clock.turn(1);
    assert.equal(wires.length, 2);
  });
});

describe("a sign of life", () => {
  it("is whatever comes: an answer may stand behind much else on a slow line", async () => {
    const { client, clock, connect, wire, states } = setUp({ cursors: new Map([["c", 0]]) });
    await connect();
    client.probe();
    await clock.turn(1_500);
    wire().down(message(1));
    await clock.turn(1_000);
    assert.equal(states.at(-1), "connected");
    client.probe();
    await clock.turn(2_000);
    assert.equal(states.at(-1), "reconnecting");
  });
});

describe("a deadline", () => {
  it("of an attempt that ended does not end the next one", async () => {
    const { clock, client, wire, wires, accept, states } = setUp();
    client.connect();
    await clock.turn(4_900);
    wire().handlers.closed(1006, "");
    await clock.turn(200);
    assert.equal(wires.length, 2);
    await accept();
    await clock.turn(9_000);
    assert.equal(wires.length, 2);
    assert.equal(states.at(-1), "connected");
  });
});

describe("a token", () => {
  it("whose callback hangs is asked for again, and comes too late", async () => {
    const late: ((token: string) => void)[] = [];
    let calls = 0;
    const { client, clock, wire, wires, accept, states } = setUp({
      tokens: () =>
        ++calls === 1
          ? new Promise((resolve) => late.push(resolve))
          : Promise.resolve(`token ${calls}`),
    });
    client.connect();
    await clock.turn(10_000);
    assert.equal(states.at(-1), "reconnecting");
    await clock.turn(300);
    assert.equal(calls, 2);
    late[0]?.("too late");
    await accept();
    assert.equal(wires.length, 1);
    assert.equal(wire().asked("hello")[0]?.value.token, "token 2");
    assert.equal(states.at(-1), "connected");
  });

  it("that is being refreshed is shared by a reconnection, and not asked for twice", async () => {
    let calls = 0;
    const { clock, connect, wire } = setUp({
      tokens: () => (++calls === 1 ? Promise.resolve("first") : never()),
    });
    await connect();
    wire().down({ $case: "tokenExpiring", value: {} });
    await settle();
    wire().handlers.closed(1006, "");
    await clock.turn(9_000);
    assert.equal(calls, 2);
    await clock.turn(2_000);
    assert.equal(calls, 3);
  });

  it("is a fresh one until one was accepted", async () => {
    const { client, clock, fresh, wire, accept, states } = setUp();
    client.connect();
    await settle();
    wire().handlers.closed(4002, "bad");
    await clock.turn(200);
    wire().handlers.closed(1006, "");
    await clock.turn(400);
    assert.deepEqual(fresh, [false, true, true]);
    await accept();
    assert.equal(states.at(-1), "connected");
    wire().handlers.closed(1006, "");
    client.probe();
    assert.equal(fresh.at(-1), false);
  });

  it("that is abandoned is told so", async () => {
    const signals: AbortSignal[] = [];
    const { client, clock } = setUp({
      getToken: ({ signal }) => {
        signals.push(signal);
        return never();
      },
    });
    client.connect();
    await clock.turn(9_999);
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false],
    );
    await clock.turn(1_000);
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, false],
    );
    client.close();
    assert.equal(signals[1]?.aborted, true);
  });

  it("that comes after close() opens nothing, and no timer is left", async () => {
    const late: ((token: string) => void)[] = [];
    const { client, clock, wires, states } = setUp({
      tokens: () => new Promise((resolve) => late.push(resolve)),
    });
    client.connect();
    client.close();
    late[0]?.("late");
    await settle();
    assert.equal(wires.length, 0);
    assert.deepEqual(states, ["connecting", "closed"]);
    assert.equal(clock.waiting, 0);
  });
});

describe("close()", () => {
  it("from a listener of the state ends it there", async () => {
    for (const when of ["connecting", "connected", "reconnecting"]) {
      const { client, clock, wire, fresh, states } = setUp();
      client.on("state", ({ state }) => state === when && client.close());
      client.connect();
      await settle();
      const asked = fresh.length;
      if (when !== "connecting") {
        wire().handlers.opened();
        wire().down({ $case: "welcome", value: {} });
        if (when === "reconnecting") wire().handlers.closed(1006, "");
      }
      await clock.turn(60_000);
      assert.equal(states.at(-1), "closed", when);
      assert.equal(clock.waiting, 0, `${when}: no timer is left`);
      assert.equal(fresh.length, asked, `${when}: no token is asked for`);
      assert.equal(asked, when === "connecting" ? 0 : 1);
    }
  });

  it("in the middle of a frame is the end of it", async () => {
    const { client, connect, wire, seqs, states } = setUp({ cursors: new Map([["c", 0]]) });
    client.on("event", ({ seq }) => seq === 2 && client.close());
    await connect();
    wire().down(message(1), message(2), message(3));
    wire().down(message(4));
    assert.deepEqual(seqs(), [1, 2]);
    assert.equal(states.at(-1), "closed");
  });

  it("in the middle of events that waited for a hole is the end of them", async () => {
    const { client, connect, wire, seqs } = setUp({ cursors: new Map([["c", 0]]) });
    client.on("event", ({ seq }) => seq === 2 && client.close());
    await connect();
    wire().down(message(2), message(3), message(1));
    assert.deepEqual(seqs(), [1, 2]);
  });
});

describe("a transport", () => {
  it("that cannot be made is a connection lost", async () => {
    let made = 0;
    const { client, clock, states } = setUp({
      transport: () => {
        made++;
        throw new SyntaxError("not an address");
      },
    });
    client.connect();
    await settle();
    assert.equal(states.at(-1), "reconnecting");
    await clock.turn(1_000);
    assert.ok(made > 1);
  });

  it("that throws when it says Hello is a connection lost", async () => {
    const { client, clock, states } = setUp({
      transport: (_, { opened }) => {
        queueMicrotask(() => assert.doesNotThrow(opened));
        return {
          send: () => {
            throw new Error("broken pipe");
          },
          close: () => {},
        };
      },
    });
    client.connect();
    await settle();
    assert.deepEqual(states, ["connecting", "reconnecting"]);
    client.close();
    assert.equal(clock.waiting, 0);
  });

  it("that throws when it sends is a connection lost, and the message is kept", async () => {
    let broken = true;
    const up: number[] = [];
    const { client, clock, accept, wires, wire, states } = setUp();
    const made = wires.push.bind(wires);
    wires.push = (one) => {
      const { up: kept } = one;
      kept.push = ((...frames: typeof kept) => {
        if (broken && frames[0]?.command.$case === "sendMessage") throw new Error("broken pipe");
        return Array.prototype.push.apply(kept, frames);
      }) as typeof kept.push;
      return made(one);
    };
    let failure: Error | undefined;
    client.send("c", "hello").catch((error: Error) => {
      failure = error;
    });
    client.connect();
    await accept();
    assert.deepEqual(states, ["connecting", "connected", "reconnecting"]);
    broken = false;
    await clock.turn(1_000);
    await accept();
    up.push(wire().asked("sendMessage").length);
    assert.deepEqual(up, [1]);
    assert.equal(failure, undefined);
  });
});

describe("a server out of its mind", () => {
  const insane: [string, { $case: string; value: unknown }][] = [
    ["a number above 2^53", message(2 ** 53)],
    ["the number 0", message(0)],
    ["a conversation without an id", message(1, "")],
    ["a time that no calendar has", message(1, "c", 9e15)],
    ["a state without a conversation", { $case: "conversationState", value: {} }],
    [
      "a conversation's number above 2^53",
      { $case: "conversationState", value: { conversation: { id: "c", lastSeq: 2 ** 60 } } },
    ],
    ["a conversation joined without an id", { $case: "conversationJoined", value: {} }],
    ["a Resync of nothing", { $case: "resync", value: { lastSeq: 1 } }],
    ["a Resync above 2^53", { $case: "resync", value: { conversationId: "c", lastSeq: 2 ** 54 } }],
    [
      "history with an event of no number",
      {
        $case: "reply",
        value: { requestId: 9, getHistory: { events: [{ conversationId: "c" }] } },
      },
    ],
    [
      "an answer with a number above 2^53",
      { $case: "reply", value: { requestId: 9, sendMessage: { seq: 2 ** 55, timeMs: 1 } } },
    ],
    ["a second Welcome", { $case: "welcome", value: {} }],
  ];
  for (const [name, item] of insane)
    it(`that says ${name} is left`, async () => {
      const { connect, wire, states, events } = setUp({ cursors: new Map([["c", 0]]) });
      await connect();
      assert.doesNotThrow(() => wire().down(item));
      assert.equal(states.at(-1), "reconnecting");
      assert.deepEqual(events, []);
    });

  it("that speaks before Welcome is left", async () => {
    const { client, wire, states, events } = setUp();
    client.connect();
    await settle();
    wire().handlers.opened();
    wire().down(message(1));
    assert.equal(states.at(-1), "reconnecting");
    assert.deepEqual(events, []);
  });

  it("that wants a ping each moment gets one each second", async () => {
    const { client, clock, wire } = setUp();
    client.connect();
    await settle();
    wire().handlers.opened();
    wire().down({ $case: "welcome", value: { heartbeatMs: 1 } });
    await clock.turn(999);
    assert.equal(wire().asked("ping").length, 0);
    await clock.turn(1);
    assert.equal(wire().asked("ping").length, 1);
  });
});
