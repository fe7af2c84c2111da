import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { play } from "./scenario.ts";
import { closeWires } from "./wire.ts";

after(closeWires);

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const seeds = Number(process.env.SEEDS ?? (process.env.SEED ? 1 : 50));
const atOnce = 12;

describe("a conversation", () => {
  it("is for every client what its log makes of it, whatever is done at random", async () => {
    console.log(`SEED=${seed} SEEDS=${seeds}`);
    const failures: Error[] = [];
    let next = seed;
    let commands = 0;
    let slowestMs = 0;
    const player = async () => {
      while (next < seed + seeds && failures.length < 3) {
        try {
          const scenario = await play(next++);
          commands += scenario.commands;
          slowestMs = Math.max(slowestMs, scenario.slowestMs);
        } catch (error) {
          failures.push(error as Error);
        }
      }
    };
    await Promise.all(Array.from({ length: atOnce }, player));
    console.log(`${commands} commands; the slowest was equal after ${slowestMs} ms`);
    assert.deepEqual(failures, []);
  });
});
