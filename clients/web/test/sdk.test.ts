import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { adviceFor } from "../src/codes.ts";
import { MartletError } from "../src/errors.ts";
import { createLog } from "../src/log.ts";
import type { ConversationEvent } from "../src/model.ts";
import { createOutbox, type Outgoing } from "../src/outbox.ts";
import { retryDelayMs } from "../src/retry.ts";
import { message, page, settle, setUp } from "./support.ts";

describe("a connection", () => {
  it("says Hello with the token and its cursors, and is connected at Welcome, not before", async () => {
    const { client, wire, welcome, states } = setUp({ cursors: new Map([["c", 7]]) });
    client.connect();
    await settle();
    wire().handlers.opened();
    assert.deepEqual(states, ["connecting"]);
    const command = wire().up[0]?.command;
    assert.equal(command?.$case, "hello");
    if (command?.$case === "hello") {
      assert.equal(command.value.token, "token");
      assert.deepEqual(command.value.cursors, [{ conversationId: "c", seq: 7, stateVersion: 0 }]);
    }
    welcome();
    assert.deepEqual(states, ["connecting", "connected"]);
    assert.equal(client.welcome?.node, "n.1");
  });

  it("without a Welcome in five seconds is tried again", async () => {
    const { client, clock, wires, states } = setUp();
    client.connect();
    await settle();
    await clock.turn(5_000);
    assert.equal(states.at(-1), "reconnecting");
    await clock.turn(500);
    assert.equal(wires.length, 2);
    assert.equal(wires[0]?.closed, true);
  });

  it("obeys the server's close codes", async () => {
    for (const [code, state] of [
      [4000, "closed"],
      [4004, "closed"],
      [4005, "closed"],
      [4006, "closed"],
      [4008, "reconnecting"],
      [1006, "reconnecting"],
      [1012, "reconnecting"],
      [4010, "reconnecting"],
    ] as const) {
      const { connect, wire, states } = setUp();
      await connect();
      wire().handlers.closed(code, "");
      assert.equal(states.at(-1), state, String(code));
    }
    assert.equal(adviceFor(4999), "reconnect");
  });

  it("asks for a fresh token after 4002, once, and then gives up", async () => {
    const { clock, client, wire, fresh, states } = setUp();
    client.connect();
    await settle();
    wire().handlers.closed(4002, "bad");
    await clock.turn(400);
    assert.deepEqual(fresh, [false, true]);
    wire().handlers.closed(4002, "bad");
    assert.equal(states.at(-1), "closed");
  });

  it("waits as long as a draining server asks", async () => {
    const { clock, connect, wire, wires } = setUp();
    await connect();
    wire().down({ $case: "draining", value: { reconnectAfterMs: 1500 } });
    wire().handlers.closed(1012, "");
    await clock.turn(1499);
    assert.equal(wires.length, 1);
    await clock.turn(1);
    assert.equal(wires.length, 2);
  });

  it("asks for a sign of life after silence, and reconnects if none comes", async () => {
    const { clock, connect, wire, states } = setUp();
    await connect();
    await clock.turn(25_000);
    assert.equal(wire().up.at(-1)?.command?.$case, "ping");
    await clock.turn(10_000);
    assert.equal(states.at(-1), "reconnecting");
  });

  it("refreshes its token when the server says so, with one callback under way", async () => {
    const { connect, wire, fresh } = setUp();
    await connect();
    wire().down({ $case: "tokenExpiring", value: { tokenExpiresMs: 1 } });
    await settle();
    assert.deepEqual(fresh, [false, true]);
    assert.equal(wire().up.at(-1)?.command?.$case, "refreshToken");
  });

  it("survives a token callback that fails or hangs", async () => {
    let calls = 0;
    const { clock, client, states } = setUp({
      tokens: () => (++calls === 1 ? Promise.reject(new Error("no")) : new Promise(() => {})),
    });
    client.connect();
    await clock.turn(400);
    assert.equal(calls, 2);
    await clock.turn(10_000);
    assert.equal(states.at(-1), "reconnecting");
  });

  it("drops a server that sends what is no frame, and ignores items that it does not know", async () => {
    const { connect, wire, states } = setUp();
    await connect();
    wire().handlers.frame(new Uint8Array([0x0a, 0x03, 0xfa, 0x07, 0x00]));
    assert.equal(states.at(-1), "connected");
    wire().handlers.frame(new Uint8Array([0xff, 0xff, 0xff]));
    assert.equal(states.at(-1), "reconnecting");
  });
});

describe("events", () => {
  it("in any order, some twice, are delivered once and in order; a hole is fetched", async () => {
    const { connect, wire, events } = setUp({ cursors: new Map([["c", 0]]) });
    await connect();
    wire().down(message(1), message(2), message(2), message(4), message(3), message(7));
    assert.deepEqual(
      events.map((e) => e.seq),
      [1, 2, 3, 4],
    );
    await settle();
    const asked = wire().up.at(-1);
    assert.equal(asked?.command.$case === "getHistory" && asked.command.value.afterSeq, 4);
    wire().reply(asked, "getHistory", page([5, 6], true));
    await settle();
    assert.deepEqual(
      events.map((e) => e.seq),
      [1, 2, 3, 4, 5, 6, 7],
    );
  });

  it("shuffled by any seed come out in order", () => {
    for (let seed = 1; seed < 100; seed++) {
      let state = seed;
      const random = (below: number) => {
        state = (state * 1103515245 + 12345) & 0x7fffffff;
        return state % below;
      };
      const order = Array.from({ length: 100 }, (_, i) => i + 1).sort(() => random(3) - 1);
      const log = createLog(0);
      const out = order.flatMap((seq) => log.take({ seq } as ConversationEvent));
      assert.deepEqual(
        out.map((e) => e.seq),
        Array.from({ length: 100 }, (_, i) => i + 1),
      );
      assert.equal(log.hole(), undefined);
    }
  });

  it("too many to be sent are told as a gap, and the cursor goes on", async () => {
    const { client, connect, wire, events } = setUp({ cursors: new Map([["c", 3]]) });
    const gaps: number[] = [];
    client.on("gap", ({ seq }) => gaps.push(seq));
    await connect();
    wire().down({ $case: "resync", value: { conversationId: "c", lastSeq: 900 } }, message(901));
    assert.deepEqual(gaps, [900]);
    assert.deepEqual(
      events.map((e) => e.seq),
      [901],
    );
  });
});

describe("the outbox", () => {
  const outgoing = (id: string, conversationId = "c"): Outgoing => ({
    conversationId,
    clientMessageId: id,
    contentType: "",
    body: new Uint8Array([1]),
    replyToSeq: 0,
    mentions: [],
  });

  it("sends while away when it is back, with the same identity, and resolves once", async () => {
    const { client, clock, connect, wire, welcome } = setUp();
    const sent = client.send("c", "hello");
    await connect();
    const first = wire().up.at(-1);
    wire().handlers.closed(1006, "");
    await clock.turn(400);
    wire().handlers.opened();
    welcome();
    await settle();
    const second = wire().up.at(-1);
    const idOf = (frame: typeof first) =>
      frame?.command?.$case === "sendMessage" && frame.command.value.clientMessageId;
    assert.ok(idOf(first));
    assert.equal(idOf(second), idOf(first));
    wire().reply(second, "sendMessage", { seq: 5, timeMs: 1, duplicate: true });
    assert.deepEqual(await sent, { seq: 5, timeMs: 1 });
    assert.deepEqual(client.pending, []);
  });

  it("keeps the order within a conversation, and does not wait for another one", async () => {
    const asked: string[] = [];
    const outbox = createOutbox(
      (m) => {
        asked.push(m.clientMessageId);
        return new Promise(() => {});
      },
      () => {},
      10,
    );
    outbox.start();
    for (const m of [outgoing("1"), outgoing("2"), outgoing("3", "d")]) void outbox.add(m);
    await settle();
    assert.deepEqual(asked, ["1", "3"]);
  });

  it("repeats what may be repeated, rejects what was refused, and is bounded", async () => {
    const answers = [
      new MartletError("UNAVAILABLE", "", "", 70),
      new MartletError("NOT_FOUND", ""),
    ];
    const delays: number[] = [];
    const outbox = createOutbox(
      () => Promise.reject(answers.shift()),
      (run, delay) => {
        delays.push(delay);
        queueMicrotask(run);
      },
      1,
    );
    outbox.start();
    const refused = outbox.add(outgoing("1"));
    await assert.rejects(outbox.add(outgoing("2")), { code: "OUTBOX_FULL" });
    await assert.rejects(refused, { code: "NOT_FOUND" });
    assert.deepEqual(delays, [70]);
  });
});

describe("waiting before the next try", () => {
  it("is drawn below a limit that doubles up to its maximum", () => {
    const options = { minDelayMs: 300, maxDelayMs: 30_000 };
    assert.equal(
      retryDelayMs(0, () => 0, options),
      0,
    );
    assert.ok(retryDelayMs(0, () => 0.999, options) < 300);
    assert.equal(
      retryDelayMs(3, () => 0.5, options),
      1200,
    );
    assert.equal(
      retryDelayMs(99, () => 0.5, options),
      15_000,
    );
  });
});
