import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import {
  bodies,
  closeAll,
  freshUser,
  type Person,
  person,
  personElsewhere,
  pidOf,
  rawSession,
  server,
  until,
  workers,
} from "./support.ts";

after(closeAll);

const ready = () =>
  fetch(`${server.admin}/readyz`)
    .then((r) => r.ok)
    .catch(() => false);

/** Sends all the time, whatever breaks, until it is told to stop; the acknowledged are told then. */
function talk(one: Person, id: string, name: string) {
  const acknowledged: string[] = [];
  let going = true;
  let count = 0;
  const done = (async () => {
    while (going) {
      const text = `${name}${count++}`;
      await one.client.send(id, text);
      acknowledged.push(text);
    }
  })();
  return async () => {
    going = false;
    await done;
    return acknowledged;
  };
}

function assertWhole(people: readonly Person[], id: string, sent: readonly string[]) {
  for (const one of people) {
    const seen = bodies(one.seen.get(id));
    assert.deepEqual([...seen].sort(), [...sent].sort(), `${one.user} has all, once`);
    assert.deepEqual(seen, bodies(people[0]?.seen.get(id)), "in the same order");
    assert.deepEqual(
      one.seen.get(id)?.map((event) => event.seq),
      Array.from({ length: sent.length + 1 }, (_, i) => i + 1),
    );
  }
}

/** Two who talk on two workers while `fault` happens. */
async function throughFault(fault: (node: string | undefined) => Promise<void>): Promise<void> {
  const alice = await person(freshUser("alice"));
  const bob = await personElsewhere(freshUser("bob"), alice);
  const { id } = await alice.client.openDirect(bob.user);
  const stops = [talk(alice, id, "a"), talk(bob, id, "b")];
  await until("they talk", () => bodies(alice.seen.get(id)).length > 20);
  await fault(alice.client.welcome?.node);
  const before = bodies(alice.seen.get(id)).length;
  await until("they talk again", () => bodies(alice.seen.get(id)).length > before + 20, 60_000);
  const sent = (await Promise.all(stops.map((stop) => stop()))).flat();
  await until("all is there", () =>
    [alice, bob].every((p) => bodies(p.seen.get(id)).length >= sent.length),
  );
  assertWhole([alice, bob], id, sent);
}

describe("nothing acknowledged is lost or doubled", () => {
  it("when a worker is killed, which the supervisor replaces", async () => {
    await throughFault(async (node) => {
      const before = workers();
      const index = Number(node?.split(".").at(-1)) - 1;
      process.kill(before[index] ?? 0, "SIGKILL");
      await until("another runs", () => {
        const now = workers();
        return now.length === before.length && now.some((pid) => !before.includes(pid));
      });
    });
  });

  it("when Mosquitto is killed and started again", async () => {
    await throughFault(async () => {
      process.kill(pidOf("mosquitto/pid"), "SIGKILL");
      await until("it is noticed", async () => !(await ready()));
      const again = spawn("mosquitto", ["-c", `${server.folder}/mosquitto/mosquitto.conf`], {
        stdio: "ignore",
        detached: true,
      });
      again.unref();
      writeFileSync(`${server.folder}/mosquitto/pid`, `${again.pid}\n`);
      await until("it is back", ready);
    });
  });

  it("when PostgreSQL is killed and started again", async () => {
    const options = readFileSync(`${server.folder}/postgresql/postmaster.opts`, "utf8").trim();
    await throughFault(async () => {
      process.kill(pidOf("postgresql/postmaster.pid"), "SIGKILL");
      await until("it is noticed", async () => !(await ready()));
      await until(
        "it is back",
        async () => {
          const words = options.replaceAll('"', "").split(" ").filter(Boolean);
          const root =
            process.getuid?.() === 0
              ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
              : [];
          const [program = "", ...rest] = [...root, ...words];
          const again = spawn(program, rest, { stdio: "ignore", detached: true });
          again.unref();
          return until("ready", ready, 5_000).catch(() => false);
        },
        40_000,
      );
    });
  });
});

describe("a send is acknowledged after its commit", () => {
  it("not while PostgreSQL stands still, and then once", async () => {
    const one = await rawSession(freshUser("alice"));
    one.command(1, {
      $case: "createGroup",
      value: {
        conversationId: crypto.randomUUID(),
        title: "x",
        members: [],
        announcement: false,
        fullHistory: false,
      },
    });
    const { result } = await one.reply(1);
    assert.equal(result?.$case, "createGroup");
    const conversationId =
      result?.$case === "createGroup" ? (result.value.conversation?.id ?? "") : "";
    const postmaster = pidOf("postgresql/postmaster.pid");
    const backends = execFileSync("pgrep", ["-P", String(postmaster)], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);
    const all = (signal: NodeJS.Signals) => {
      for (const pid of [postmaster, ...backends]) process.kill(pid, signal);
    };
    all("SIGSTOP");
    try {
      one.command(2, {
        $case: "sendMessage",
        value: {
          conversationId,
          clientMessageId: crypto.randomUUID(),
          contentType: "",
          body: new Uint8Array([1]),
          replyToSeq: 0,
          mentions: [],
        },
      });
      // An answer to a later question shows that the server had the send for a whole round trip.
      for (let id = 10; id < 30; id++) {
        one.command(id, { $case: "ping", value: {} });
        await one.reply(id);
      }
      assert.equal(
        one.items.find((item) => item.kind === "reply" && item.requestId === 2),
        undefined,
      );
      assert.equal(
        one.items.find((item) => item.kind === "event" && item.event.seq === 2),
        undefined,
      );
    } finally {
      all("SIGCONT");
    }
    const reply = await one.reply(2);
    assert.equal(reply.error, undefined);
    one.close();
  });
});
