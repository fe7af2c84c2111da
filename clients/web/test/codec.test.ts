import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeItems } from "../src/codec.ts";
import { encodeItems, message, page, state } from "./support.ts";

describe("the codec", () => {
  const good = encodeItems([
    message(7),
    state("c", 9, { lastEvent: message(9).value, peer: "bob" }),
    { $case: "reply", value: { requestId: 3, getHistory: page([1, 2]) } },
  ]);

  it("reads what was written", () => {
    const [event, told, reply] = decodeItems(good);
    assert.equal(event?.kind === "event" && event.event.seq, 7);
    assert.equal(told?.kind === "state" && told.conversation.lastEvent?.seq, 9);
    assert.equal(reply?.kind === "reply" && reply.requestId, 3);
  });

  it("reads frames laid end to end as one", () => {
    assert.equal(decodeItems(new Uint8Array([...good, ...good])).length, 6);
  });

  it("refuses a frame that was cut, wherever", () => {
    const item = encodeItems([message(7)]);
    for (let end = 1; end < item.length; end++)
      assert.throws(() => decodeItems(item.subarray(0, end)), String(end));
  });

  it("understands or refuses changed bytes, and comes to an end", () => {
    let seed = 1;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return seed % below;
    };
    for (let i = 0; i < 20_000; i++) {
      const bytes = good.slice();
      for (let j = random(4); j >= 0; j--) bytes[random(bytes.length)] = random(256);
      try {
        for (const item of decodeItems(bytes))
          if (item.kind === "event") assert.ok(Number.isSafeInteger(item.event.seq));
      } catch (error) {
        if ((error as Error).name === "AssertionError") throw error;
      }
    }
  });
});
