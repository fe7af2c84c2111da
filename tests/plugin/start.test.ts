/** Options that are wrong, and clients that are rude. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import {
  asGateway,
  asService,
  asUser,
  type Broker,
  bridge,
  closeAll,
  fresh,
  serviceToken,
  startBroker,
  topic,
  until,
} from "./support.ts";

after(closeAll);

describe("a wrong option", () => {
  const rows: [string, Record<string, string | null>, RegExp][] = [
    ["missing", { keys: null }, /plugin_opt_keys is missing; it is the folder of keys/],
    ["unknown", { keis: "x" }, /plugin_opt_keis is none of keys, database/],
    ["no number", { shards: "many" }, /plugin_opt_shards is no number from 1 to 4096/],
    ["a folder that is not there", { keys: "/nowhere" }, /\/nowhere cannot be read: No such file/],
    ["no connection string", { database: "nonsense" }, /plugin_opt_database: missing "="/],
    ["no password", { bridge_password_file: "/nowhere" }, /bridge_password_file can't be read/],
  ];
  for (const [what, plugin, text] of rows)
    it(`${what} is told, and Mosquitto does not start`, async () => {
      const broker = await startBroker({ plugin, fails: true });
      assert.match(broker.log(), text);
    });
});

describe("the broker goes on serving", () => {
  let broker: Broker;
  before(async () => {
    broker = await startBroker();
  });

  /** A message there and back again. */
  async function serves() {
    const user = fresh("user");
    const one = await asUser(broker, user);
    const node = await bridge(broker);
    await one.subscribe(topic("u", user, "e"));
    const begin = performance.now();
    await node.publish(topic("u", user, "e"), "hello");
    await one.heard("hello");
    await Promise.all([one.close(), node.close()]);
    return performance.now() - begin;
  }

  it("while one client subscribes to 100,000 conversations that are not its own", async () => {
    const rude = await asUser(broker, fresh("rude"));
    const filters = Array.from({ length: 100_000 }, () => topic("c", randomUUID(), "#"));
    const asked = rude.subscribe(...filters);
    for (let i = 0; i < 5; i++) assert.ok((await serves()) < 5_000);
    assert.ok((await asked).every((isGranted) => !isGranted));
    await rude.close();
  });

  it("while one client publishes what is too large, and what it may not", async () => {
    const user = fresh("rude");
    const rude = await asUser(broker, user);
    assert.equal(await rude.publish(topic("c", randomUUID(), "e"), Buffer.alloc(900_000)), false);
    rude.publish(topic("up", user, "phone"), Buffer.alloc(2_000_000)).catch(() => undefined);
    assert.ok((await serves()) < 5_000);
    await until("who sends too much is ended", () => !rude.isOpen());
    assert.ok((await serves()) < 5_000);
  });

  it("to services and gateways", async () => {
    const [shop, gate, user] = [fresh("shop"), fresh("gate"), fresh("user")];
    const node = await bridge(broker);
    await node.subscribe(`$share/bridges/${topic("svc", "+", "notify", "+")}`);
    const gateway = await asGateway(broker, gate);
    await gateway.subscribe(`$share/${gate}/${topic("offline", "+")}`);
    const service = await asService(broker, shop);
    assert.ok(await service.publish(topic("svc", shop, "notify", user), "an order"));
    await node.heard("an order");
    await node.publish(topic("offline", user), "asleep");
    await gateway.heard("asleep");
  });

  it("to mosquitto_pub, which needs no library", async () => {
    const shop = fresh("shop");
    const node = await bridge(broker);
    await node.subscribe(topic("svc", "#"));
    const name = `service:${shop}`;
    const more = ["-t", topic("svc", shop, "notify", "alice"), "-m", '{"order":7}', "-q", "1"];
    await promisify(execFile)("mosquitto_pub", [
      ...["-p", String(broker.port), "-u", name, "-i", `${name}/1`],
      ...["-P", serviceToken(shop, "notify"), ...more],
    ]);
    await node.heard('{"order":7}');
  });
});
