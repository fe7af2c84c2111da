/** Services that tell users something, over MQTT: any payload by mosquitto_pub, a Notify, or `martlet notify`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, describe, it } from "node:test";
import mqtt, { type MqttClient } from "mqtt";
import {
  PbfReader,
  PbfWriter,
  type Reply,
  readServerFrame,
  writeNotify,
} from "../../clients/web/src/gen/martlet.js";
import {
  broker,
  closePhones,
  loginWords,
  phone,
  root,
  serviceLogin,
  type Version,
  versions,
} from "./mqtt.ts";
import { freshUser, server, until } from "./support.ts";
import { closeWires, codeOf, connect, textBytes, uuid, type Wire } from "./wire.ts";

const clients: MqttClient[] = [];

after(async () => {
  for (const one of clients) await one.endAsync(true);
  await closePhones();
  await closeWires();
});

interface Answer {
  reply: Reply;
  topic: string;
  correlation: string;
}

interface Service {
  readonly name: string;
  readonly answers: Answer[];
  publish(
    topic: string,
    payload: Uint8Array | string,
    properties?: Record<string, unknown>,
  ): Promise<void>;
}

async function service(version: Version = 5): Promise<Service> {
  const name = freshUser("shop");
  const answers: Answer[] = [];
  const client = await mqtt.connectAsync(broker, {
    ...serviceLogin(name),
    clientId: `service:${name}/1`,
    protocolVersion: version,
    reconnectPeriod: 0,
  });
  clients.push(client);
  client.on("message", (topic, payload, packet) => {
    const correlation = packet.properties?.correlationData?.toString() ?? "";
    for (const { reply } of readServerFrame(new PbfReader(new Uint8Array(payload))).items)
      if (reply) answers.push({ reply, topic, correlation });
  });
  await client.subscribeAsync(`${root}/svc/${name}/response/#`, { qos: 1 });
  return {
    name,
    answers,
    publish: async (topic, payload, properties) => {
      const bytes = typeof payload === "string" ? payload : Buffer.from(payload);
      await client.publishAsync(`${root}/svc/${name}/${topic}`, bytes, {
        qos: 1,
        ...(properties ? { properties } : {}),
      });
    },
  };
}

const told = (wire: Wire) =>
  wire.items.flatMap(({ notifications }) => notifications?.notifications ?? []);
const text = (bytes?: Uint8Array) => new TextDecoder().decode(bytes);

const notifyOf = (users: string[], id = uuid(), payload = "hello"): Uint8Array => {
  const writer = new PbfWriter();
  const rest = { kind: "k", contentType: "text/plain", expiresAfterMs: 60_000, collapseKey: "" };
  writeNotify({ id, users, payload: textBytes(payload), ...rest }, writer);
  return writer.finish();
};

describe("a service notifies", () => {
  for (const version of versions)
    it(`one user with any payload, without a library, over MQTT ${version}`, async () => {
      const alice = await connect(freshUser("alice"));
      const sleeping = await phone(alice.user, { version });
      const shop = await service(version);
      await shop.publish(`notify/${alice.user}`, '{"order":7}');
      const one = await until("it is told", () => told(alice)[0]);
      assert.equal(text(one.payload), '{"order":7}');
      assert.equal(one.service, shop.name);
      assert.ok(one.id);
      await until("over MQTT too", () =>
        sleeping
          .all("notifications")
          .some(({ notifications }) => notifications.some(({ number }) => number === one.number)),
      );
      const value = { numbers: [one.number] };
      const acked = await sleeping.ask({ $case: "ackNotifications", value });
      assert.deepEqual(acked.ackNotifications?.numbers, [one.number]);
    });

  it("with properties for the rest, and is told when it is durable; a repetition is free", async () => {
    const alice = await connect(freshUser("alice"));
    const shop = await service();
    const own = `${root}/svc/${shop.name}/response`;
    const properties = (correlation: string) => ({
      contentType: "application/json",
      messageExpiryInterval: 600,
      responseTopic: `${own}/${correlation}`,
      correlationData: Buffer.from(correlation),
      userProperties: { id: "order-7", kind: "order.shipped", collapse: "order" },
    });
    await shop.publish(`notify/${alice.user}`, "{}", properties("a"));
    await until("it is answered", () => shop.answers.length === 1);
    await shop.publish(`notify/${alice.user}`, "{}", properties("b"));
    await until("and again", () => shop.answers.length === 2);
    assert.deepEqual(
      shop.answers.map(({ reply, topic, correlation }) => [reply.notify, topic, correlation]),
      [
        [{ stored: 1, repeated: 0 }, `${own}/a`, "a"],
        [{ stored: 0, repeated: 1 }, `${own}/b`, "b"],
      ],
    );
    const one = await until("it is told", () => told(alice)[0]);
    assert.deepEqual(
      [one.id, one.kind, one.contentType, one.collapseKey],
      ["order-7", "order.shipped", "application/json", "order"],
    );
    assert.ok(one.expiresMs - one.createdMs <= 600_000 && one.expiresMs > one.createdMs);
  });

  it("many users by one Notify; and what is wrong is answered, where it may be", async () => {
    const alice = await connect(freshUser("alice"));
    const bob = await connect(freshUser("bob"));
    const shop = await service();
    const own = `${root}/svc/${shop.name}/response`;
    await shop.publish("notify", notifyOf([alice.user, bob.user]), { responseTopic: own });
    await until("it is answered", () => shop.answers.length === 1);
    assert.deepEqual(shop.answers[0]?.reply.notify, { stored: 2, repeated: 0 });
    for (const one of [alice, bob])
      assert.equal(text((await until("told", () => told(one)[0])).payload), "hello");
    const wrong: Uint8Array[] = [
      new Uint8Array([0xff, 0xff]),
      notifyOf([]),
      notifyOf(["no such name"]),
      notifyOf([alice.user], "an id with spaces"),
      notifyOf([alice.user], uuid(), "x".repeat(100_000)),
    ];
    for (const [i, bytes] of wrong.entries()) {
      await shop.publish("notify", bytes, { responseTopic: own });
      await until("it is refused", () => shop.answers.length === i + 2);
      assert.equal(codeOf(shop.answers.at(-1)?.reply as Reply), "INVALID_ARGUMENT");
    }
    const before = shop.answers.length;
    const elsewhere = `${root}/d/${alice.user}/wire`;
    await shop.publish("notify", notifyOf([alice.user], "last"), { responseTopic: elsewhere });
    await until("it is done all the same", () => told(alice).some(({ id }) => id === "last"));
    assert.equal(shop.answers.length, before);
  });
});

describe("martlet notify", () => {
  const notify = (...words: string[]) =>
    spawnSync(server.binary, ["notify", ...words, ...loginWords(), "-c", server.config], {
      encoding: "utf8",
    });

  it("tells users, waits until it is durable, and says by its exit code how it went", async () => {
    const alice = await connect(freshUser("alice"));
    const bob = freshUser("bob");
    const to = ["--as", freshUser("shop"), "--user", alice.user];
    const first = notify(...to, "--user", bob, "--kind", "k", "--id", "i", "--wait", "hello");
    assert.equal(first.status, 0, first.stderr);
    assert.equal(first.stdout, "stored 2, repeated 0\n");
    const again = notify(...to, "--user", bob, "--id", "i", "--wait", "hello");
    assert.equal(again.stdout, "stored 0, repeated 2\n");
    const one = await until("it is told", () => told(alice)[0]);
    assert.deepEqual([one.id, one.kind, text(one.payload)], ["i", "k", "hello"]);
    assert.equal(notify(...to, "--ttl", "60", "without waiting").status, 0);
    await until("that too", () => told(alice).some((n) => text(n.payload) === "without waiting"));
    const refused = notify(...to, "--id", "with spaces", "--wait", "x");
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /^martlet notify: id /);
    for (const wrong of [
      [],
      ["x"],
      ["--as", "a b", "--user", bob, "x"],
      [...to, "--ttl", "0", "x"],
    ])
      assert.equal(notify(...wrong).status, 2, wrong.join(" "));
  });
});
