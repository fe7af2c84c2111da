/** What the plugin costs the broker: CPU per million deliveries, with it and without. */
import { readFileSync } from "node:fs";
import {
  asUser,
  bridge,
  type Client,
  closeAll,
  fresh,
  makeGroup,
  sql,
  startBroker,
  topic,
  until,
} from "../plugin/support.ts";

const members = 100;
const rounds = 7;
const publishes = 1000;

const users = Array.from({ length: members }, () => fresh("member"));
const group = makeGroup(...users);
const name = topic("c", group, "e");
const payload = Buffer.alloc(200, "x");

/** Nanoseconds that the process has run. */
const cpu = (pid: number) => Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);

async function prepare(isBare: boolean) {
  const broker = await startBroker({ isBare });
  const sender = await bridge(broker);
  const clients: Client[] = await Promise.all(users.map((user) => asUser(broker, user)));
  let heard = 0;
  for (const client of clients) {
    await client.subscribe(name);
    client.mqtt.removeAllListeners("message");
    client.mqtt.on("message", () => {
      heard++;
    });
  }
  return async () => {
    heard = 0;
    const begin = cpu(broker.pid);
    for (let i = 0; i < publishes; i++) {
      await sender.publish(name, payload, { qos: 0 });
      // No queue grows: what is measured is the work, not the waiting.
      if (i % 50 === 49) await until("all has come", () => heard >= (i + 1) * members);
    }
    return (cpu(broker.pid) - begin) / heard;
  };
}

const sides = [await prepare(true), await prepare(false)] as const;
const results: [number[], number[]] = [[], []];
for (let i = 0; i < rounds; i++)
  for (const [side, measure] of sides.entries()) results[side]?.push(await measure());
for (const [side, what] of ["without the plugin", "with the plugin"].entries()) {
  const sorted = (results[side] as number[]).sort((a, b) => a - b);
  const seconds = (value?: number) => ((value ?? 0) / 1000).toFixed(2);
  console.log(
    `${what}: ${seconds(sorted[rounds >> 1])} s of CPU a million deliveries ` +
      `(median of ${rounds}; ${seconds(sorted[0])} to ${seconds(sorted.at(-1))})`,
  );
}
await closeAll();

// What reading 200,000 memberships takes, and whether others wait for it.
sql(`insert into martlet.conversations (id, kind, last_seq, member_count, created_by)
       select md5('bench' || i)::uuid, 2, 1, 20, 'u' from generate_series(1, 10000) as i;
     insert into martlet.members (conversation_id, user_id, role, first_seq)
       select md5('bench' || i)::uuid, 'user-' || (i * 20 + j * 7919) % 10000, 1, 1
       from generate_series(1, 10000) as i, generate_series(1, 20) as j;
     analyze martlet.members`);
const memory = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
const bare = await startBroker({ isBare: true });
const begin = performance.now();
const full = await startBroker();
const started = performance.now() - begin;
const one = await bridge(full);
await one.subscribe("bench");
const passes = () => full.log().split("are read").length;
const before = passes();
const cpuBefore = cpu(full.pid);
const asked = performance.now();
full.signal("SIGHUP");
let longest = 0;
while (passes() === before) {
  const sent = performance.now();
  await one.publish("bench", fresh("ping"));
  longest = Math.max(longest, performance.now() - sent);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log(
  `200,000 memberships: the broker starts in ${Math.round(started)} ms, of which the first pass is most; ` +
    `another takes ${Math.round(performance.now() - asked)} ms beside a client, ` +
    `${Math.round((cpu(full.pid) - cpuBefore) / 1e6)} ms of CPU with it, ` +
    `which waited at most ${Math.round(longest)} ms`,
);
console.log(
  `resident: ${memory(bare.pid).toFixed(1)} MiB without, ${memory(full.pid).toFixed(1)} MiB with`,
);
console.log(/\d+ memberships of.*/.exec(full.log())?.[0]);
await closeAll();
