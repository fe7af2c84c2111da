/** `martlet chat`, the client over MQTT for terminals and scripts. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { loginWords } from "./mqtt.ts";
import { freshUser, pidOf, server, until } from "./support.ts";
import { closeWires, connect, createGroup, does, openDirect, say, untilSeen } from "./wire.ts";

interface Line {
  kind: string;
  conversation_id?: string;
  seq?: number;
  sender?: string;
  body?: string;
  user?: string;
  read_seq?: number;
  peer?: string;
}

const words = (...more: string[]): string[] => [
  "chat",
  ...more,
  ...loginWords(),
  "-c",
  server.config,
];

const chat = (...more: string[]) => spawnSync(server.binary, words(...more), { encoding: "utf8" });

const linesOf = (text: string): Line[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);

interface Tail {
  readonly lines: Line[];
  end(): Promise<number | null>;
}

const children = new Set<ChildProcess>();

/** It is listening when this returns. */
async function tail(user: string): Promise<Tail> {
  const child = spawn(server.binary, words("tail", "--as", user, "--json"), {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let out = "";
  let errors = "";
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    errors += data.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await until("it listens", () => errors.includes("listening"));
  return {
    get lines() {
      return linesOf(out.slice(0, out.lastIndexOf("\n") + 1));
    },
    end: () => {
      child.kill("SIGTERM");
      children.delete(child);
      return exited;
    },
  };
}

after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await closeWires();
});

const seqsOf = (one: Tail, id: string) =>
  one.lines.flatMap((line) => (line.conversation_id === id && line.seq ? [line.seq] : []));

describe("martlet chat in a script", () => {
  it("sends what a browser gets, and prints its number", async () => {
    const bob = await connect(freshUser("bob"));
    const alice = freshUser("alice");
    const sent = chat("send", "--as", alice, "--to", bob.user, "Grüße ☕");
    assert.equal(sent.status, 0, sent.stderr);
    assert.equal(sent.stdout, "2\n");
    const event = await until("bob has it", () =>
      bob.items.find(({ event }) => event?.seq === 2 && event.sender === alice),
    );
    assert.equal(new TextDecoder().decode(event.event?.message?.body), "Grüße ☕");
    const again = chat("send", "--as", alice, "--to", bob.user, "--json", "more");
    assert.deepEqual(
      linesOf(again.stdout).map(({ kind, seq }) => [kind, seq]),
      [["sent", 3]],
    );
  });

  it("shows what comes: messages in order, typing, receipts, joining and leaving", async () => {
    const alice = await connect(freshUser("alice"));
    const bob = freshUser("bob");
    const id = await openDirect(alice, bob);
    await say(alice, id, "before");
    const bobs = await tail(bob);
    for (let i = 0; i < 20; i++) await say(alice, id, `m${i}`);
    await does(alice, { $case: "setTyping", value: { conversationId: id, typing: true } });
    await does(alice, { $case: "markRead", value: { conversationId: id, seq: 22 } });
    const group = await createGroup(alice, [bob]);
    await say(alice, group, "in the group");
    await until("the group's message", () => bobs.lines.some((l) => l.body === "in the group"));
    await does(alice, { $case: "removeMember", value: { conversationId: group, user: bob } });
    await until("it left", () => bobs.lines.some((l) => l.kind === "left"));
    assert.deepEqual(
      seqsOf({ ...bobs, lines: bobs.lines.filter((l) => l.kind === "message") }, id),
      Array.from({ length: 20 }, (_, i) => i + 3),
    );
    assert.ok(bobs.lines.some((l) => l.kind === "typing" && l.user === alice.user));
    assert.ok(bobs.lines.some((l) => l.kind === "receipt" && l.read_seq === 22));
    assert.deepEqual(
      bobs.lines.filter((l) => l.conversation_id === group).map((l) => l.kind),
      ["joined", "created", "message", "member_removed", "left"],
    );
    assert.equal(await bobs.end(), 0);
  });

  it("finds by number what Mosquitto lost", async () => {
    const alice = await connect(freshUser("alice"));
    const bob = freshUser("bob");
    const id = await openDirect(alice, bob);
    const bobs = await tail(bob);
    await say(alice, id, "before");
    await until("it has come", () => seqsOf(bobs, id).length === 1);
    process.kill(pidOf("mosquitto/pid"), "SIGKILL");
    for (let i = 0; i < 10; i++) await say(alice, id, `lost ${i}`);
    const again = spawn("mosquitto", ["-c", `${server.folder}/mosquitto/mosquitto.conf`], {
      stdio: "ignore",
      detached: true,
    });
    again.unref();
    writeFileSync(`${server.folder}/mosquitto/pid`, `${again.pid}\n`);
    await until("what was lost is found", () => seqsOf(bobs, id).length === 11);
    await untilSeen(alice, id, await say(alice, id, "after"));
    await until("and it goes on", () => seqsOf(bobs, id).length === 12);
    assert.deepEqual(
      seqsOf(bobs, id),
      Array.from({ length: 12 }, (_, i) => i + 2),
    );
    assert.equal(await bobs.end(), 0);
  });

  it("shows history and lists, and says by its exit code how it went", async () => {
    const alice = await connect(freshUser("alice"));
    const bob = freshUser("bob");
    const id = await openDirect(alice, bob);
    for (let i = 0; i < 5; i++) await say(alice, id, `m${i}`);
    const history = chat("history", "--as", bob, "--with", alice.user, "--last", "3", "--json");
    assert.equal(history.status, 0, history.stderr);
    assert.deepEqual(
      linesOf(history.stdout).map(({ body }) => body),
      ["m2", "m3", "m4"],
    );
    const byId = chat("history", "--as", bob, "--in", id, "--json");
    assert.equal(linesOf(byId.stdout).length, 6);
    const list = chat("list", "--as", bob, "--json");
    assert.deepEqual(
      linesOf(list.stdout).map(({ conversation_id, peer }) => [conversation_id, peer]),
      [[id, alice.user]],
    );
    const table: [words: string[], status: number, says: RegExp][] = [
      [["history", "--as", bob, "--with", freshUser("nobody")], 1, /no conversation with/],
      [["history", "--as", freshUser("mallory"), "--in", id], 1, /./],
      [["send", "--as", bob, "--in", "x", "hello"], 1, /conversation's id/],
      [["send", "--as", bob, "--to", bob, "hello"], 1, /is you/],
      [["send", "--as", "no such name", "--to", bob, "hello"], 1, /A-Z/],
      [["send", "--as", bob, "hello"], 2, /usage/],
      [["send", "--as", bob, "--to", alice.user], 2, /usage/],
      [["tail"], 2, /usage/],
      [["tail", "--as", bob, "--for", "0"], 2, /usage/],
      [["nonsense", "--as", bob], 2, /usage/],
    ];
    for (const [given, status, says] of table) {
      const ended = chat(...given);
      assert.equal(ended.status, status, `${given.join(" ")}: ${ended.stderr}`);
      assert.match(ended.stderr, says, given.join(" "));
    }
    const away = spawnSync(server.binary, words("list", "--as", bob), {
      encoding: "utf8",
      env: { ...process.env, MARTLET_MOSQUITTO_PORT: "1" },
    });
    assert.equal(away.status, 3, away.stderr);
    assert.equal(chat("tail", "--as", bob, "--for", "1").status, 0);
  });

  it("talks in a terminal, and marks what it shows as read", async () => {
    const bob = await connect(freshUser("bob"));
    const alice = freshUser("alice");
    const child = spawn(server.binary, words("--as", alice, "--to", bob.user), {
      stdio: ["pipe", "pipe", "pipe"],
    });
    children.add(child);
    let out = "";
    child.stdout.on("data", (data: Buffer) => {
      out += data.toString();
    });
    const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
    child.stdin.write("hello\n/typing\n");
    const first = await until("bob has it", () =>
      bob.items.find(({ event }) => event?.message && event.sender === alice),
    );
    const id = first.event?.conversationId ?? "";
    await until("bob sees alice type", () =>
      bob.items.some(({ typingChanged: t }) => t?.user === alice),
    );
    const seq = await say(bob, id, "hello \u001b[2Jyourself");
    await until("alice read it", () =>
      bob.items.some(({ receiptChanged: r }) => r?.user === alice && r.readSeq === seq),
    );
    await until("it is shown, harmless", () => /hello \?\[2Jyourself/.test(out));
    child.stdin.write("/quit\n");
    assert.equal(await exited, 0);
    children.delete(child);
  });
});
