import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { playAbsence } from "./scenario.ts";
import { freshUser } from "./support.ts";
import { closeWires, connect, createGroup, does, type Wire } from "./wire.ts";

after(closeWires);

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const seeds = Number(process.env.SEEDS ?? (process.env.SEED ? 1 : 16));

describe("a client that returns with its cursors", () => {
  it("equals one that never left, whatever it missed: sends, edits, redactions, reactions, receipts, members, titles", async () => {
    console.log(`SEED=${seed} SEEDS=${seeds}`);
    let next = seed;
    const player = async () => {
      while (next < seed + seeds) await playAbsence(next++);
    };
    await Promise.all(Array.from({ length: 8 }, player));
  });

  const state = (wire: Wire, id: string) =>
    wire.items
      .map(({ conversationState }) => conversationState?.conversation)
      .find((conversation) => conversation?.id === id);
  const mute = (wire: Wire, conversationId: string, untilMs: number) =>
    does(wire, { $case: "setMute", value: { conversationId, untilMs } });

  it("is told nothing of a conversation that is as it was", async () => {
    const alice = await connect(freshUser("alice"));
    const id = await createGroup(alice, []);
    const first = await connect(alice.user, { device: "other" });
    const stateVersion = state(first, id)?.stateVersion ?? 0;
    await first.close();
    const cursors = [{ conversationId: id, seq: 1, stateVersion }];
    const again = await connect(alice.user, { device: "other", cursors });
    assert.equal(state(again, id), undefined);
  });

  it("is told of a muting that was taken back while it was away", async () => {
    const alice = await connect(freshUser("alice"));
    const id = await createGroup(alice, []);
    const other = await connect(alice.user, { device: "other" });
    const stateVersion = state(other, id)?.stateVersion ?? 0;
    // It hears of the muting, which comes without a version, and misses its end.
    await mute(alice, id, 2 ** 45);
    await does(other, { $case: "getConversation", value: { conversationId: id } });
    await other.close();
    await mute(alice, id, 0);
    const cursors = [{ conversationId: id, seq: 1, stateVersion }];
    const again = await connect(alice.user, { device: "other", cursors });
    assert.equal(state(again, id)?.mutedUntilMs, 0);
  });
});
