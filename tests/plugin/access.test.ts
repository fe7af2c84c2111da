/** The access table of docs/mqtt.md, line by line, for every kind of principal, in MQTT 3.1.1 and 5. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import {
  asGateway,
  asService,
  asUser,
  type Broker,
  bridge,
  type Client,
  type ConnectOptions,
  closeAll,
  fresh,
  makeGroup,
  settle,
  startBroker,
  topic,
  until,
  versions,
} from "./support.ts";

const alice = fresh("alice");
const bob = fresh("bob");
const shop = fresh("shop");
const gate = fresh("gate");
let group = "";
let broker: Broker;

before(async () => {
  // Of alice, and not of bob.
  group = makeGroup(alice, fresh("carol"));
  broker = await startBroker();
});
after(closeAll);

type Who = "alice" | "bob" | "shop" | "gate" | "bridge";
const everybody: Who[] = ["alice", "bob", "shop", "gate", "bridge"];

const come: Record<Who, (more: ConnectOptions) => Promise<Client>> = {
  alice: (more) => asUser(broker, alice, more),
  bob: (more) => asUser(broker, bob, more),
  shop: (more) => asService(broker, shop, more),
  gate: (more) => asGateway(broker, gate, more),
  bridge: (more) => bridge(broker, more),
};

/** Topics, with who may publish there and who may subscribe and hear. Bridges may all. */
const table = (): { name: string; publish: Who[]; read: Who[] }[] => [
  { name: topic("bus", 63), publish: [], read: [] },
  { name: topic("c", group, "e"), publish: [], read: ["alice"] },
  { name: topic("c", group, "s"), publish: [], read: ["alice"] },
  { name: topic("c", randomUUID(), "e"), publish: [], read: [] },
  { name: topic("u", alice, "e"), publish: [], read: ["alice"] },
  { name: topic("u", bob, "e"), publish: [], read: ["bob"] },
  { name: topic("d", alice, "phone"), publish: [], read: ["alice"] },
  { name: topic("d", alice, "laptop"), publish: [], read: [] },
  { name: topic("d", bob, "phone"), publish: [], read: ["bob"] },
  { name: topic("up", alice, "phone"), publish: ["alice"], read: [] },
  { name: topic("up", alice, "laptop"), publish: [], read: [] },
  { name: topic("up", bob, "phone"), publish: ["bob"], read: [] },
  { name: topic("presence", alice, "node"), publish: [], read: [] },
  { name: topic("node", "other"), publish: [], read: [] },
  { name: topic("node", "other", "in"), publish: [], read: [] },
  { name: topic("svc", shop, "notify"), publish: ["shop"], read: [] },
  { name: topic("svc", shop, "notify", alice), publish: ["shop"], read: [] },
  { name: topic("svc", "other", "notify"), publish: [], read: [] },
  { name: topic("svc", gate, "notify"), publish: [], read: [] },
  { name: topic("svc", shop, "response"), publish: [], read: ["shop"] },
  { name: topic("svc", shop, "response", "7"), publish: [], read: ["shop"] },
  { name: topic("svc", "other", "response"), publish: [], read: [] },
  { name: topic("offline", alice), publish: [], read: ["gate"] },
  { name: topic("nothing"), publish: [], read: [] },
  { name: "elsewhere", publish: [], read: [] },
];

/** Filters with wildcards and shares, with who may have them. */
const filters = (): { name: string; read: Who[] }[] => [
  { name: topic("c", group, "#"), read: ["alice"] },
  { name: topic("c", group, "+"), read: ["alice"] },
  { name: topic("u", alice, "#"), read: ["alice"] },
  { name: topic("svc", shop, "response", "#"), read: ["shop"] },
  { name: topic("offline", "+"), read: ["gate"] },
  { name: `$share/g/${topic("offline", "+")}`, read: ["gate"] },
  { name: `$share/g/${topic("svc", shop, "response", "#")}`, read: ["shop"] },
  { name: `$share/g/${topic("u", alice, "e")}`, read: [] },
  { name: `$share/g/${topic("c", group, "e")}`, read: [] },
  { name: `$share/bridges/${topic("up", "+", "+")}`, read: [] },
  { name: "#", read: [] },
  { name: "+/+/+/+/+", read: [] },
  { name: topic("#"), read: [] },
  { name: topic("c", "#"), read: [] },
  { name: topic("c", "+", "e"), read: [] },
  { name: topic("u", "+", "e"), read: [] },
  { name: topic("+", alice, "#"), read: [] },
  { name: topic("d", alice, "#"), read: [] },
  { name: topic("d", alice, "+"), read: [] },
  { name: topic("up", alice, "#"), read: [] },
  { name: topic("svc", shop, "#"), read: [] },
  { name: topic("presence", "+", "+"), read: [] },
  { name: topic("bus", "+"), read: [] },
  { name: topic("node", "+"), read: [] },
  { name: "$SYS/#", read: [] },
  { name: "$SYS/broker/uptime", read: [] },
  { name: `$share/g/$SYS/#`, read: [] },
  { name: `$share/g/#`, read: [] },
];

for (const version of versions) {
  describe(`over MQTT ${version === 5 ? "5" : "3.1.1"}`, () => {
    let observer: Client;

    before(async () => {
      observer = await bridge(broker);
      await observer.subscribe("#");
    });

    for (const who of everybody) {
      it(`${who} subscribes to what the table says`, async () => {
        const client = await come[who]({ version });
        const rows = [...table(), ...filters()];
        const granted = await client.subscribe(...rows.map(({ name }) => name));
        for (const [i, { name, read }] of rows.entries())
          assert.equal(granted[i], who === "bridge" || read.includes(who), name);
        await client.close();
      });

      it(`${who} publishes what the table says`, async () => {
        const client = await come[who]({ version });
        for (const { name, publish } of table()) {
          const isAllowed = who === "bridge" || publish.includes(who);
          const text = fresh("message");
          const said = await client.publish(name, text);
          // 3.1.1 has no way to say no.
          if (version === 5) assert.equal(said, isAllowed, name);
          await settle(observer, observer, topic("nothing"));
          assert.equal(observer.hears(text), isAllowed, name);
        }
        await client.close();
      });

      it(`${who} leaves retained what the table says`, async () => {
        const client = await come[who]({ version });
        for (const { name } of table()) {
          const text = fresh("retained");
          await client.publish(name, text, { retain: true });
          await settle(observer, observer, topic("nothing"));
          assert.equal(observer.hears(text), who === "bridge", name);
          if (who === "bridge") await client.publish(name, "", { retain: true });
        }
        await client.close();
      });

      it(`${who} has its will said where it might have said it`, async () => {
        for (const { name, publish } of table()) {
          for (const retain of [false, true]) {
            const text = fresh("will");
            const will = { topic: name, payload: Buffer.from(text), qos: 1 as const, retain };
            const client = await come[who]({ version, will });
            await client.drop();
            await settleAfter(observer, client);
            const isAllowed = who === "bridge" || (publish.includes(who) && !retain);
            if (isAllowed) await observer.heard(text);
            assert.equal(observer.hears(text), isAllowed, `${name} ${retain}`);
            if (retain && isAllowed) await observer.publish(name, "", { retain: true });
          }
        }
      });

      it(`${who} hears what the table says`, async () => {
        const client = await come[who]({ version });
        const rows = table();
        await client.subscribe(
          ...rows.map(({ name }) => name),
          ...filters().map(({ name }) => name),
        );
        for (const { name, read } of rows) {
          const text = fresh("told");
          await observer.publish(name, text);
          if (who === "bridge" || read.includes(who)) await client.heard(text);
          await observer.heard(text);
          // Its own reply topic, or for who has none nothing came before either.
          assert.equal(client.hears(text), who === "bridge" || read.includes(who), name);
        }
        await client.close();
      });
    }

    it("retained messages are given to who may read them only", async () => {
      const rows = table();
      const texts = rows.map(() => fresh("kept"));
      for (const [i, { name }] of rows.entries())
        await observer.publish(name, texts[i], { retain: true });
      for (const who of everybody) {
        const client = await come[who]({ version });
        await client.subscribe(...rows.map(({ name }) => name));
        for (const [i, { name, read }] of rows.entries()) {
          const isAllowed = who === "bridge" || read.includes(who);
          if (isAllowed) await client.heard(texts[i] as string);
          assert.equal(client.hears(texts[i] as string), isAllowed, `${who} ${name}`);
        }
        await client.close();
      }
      for (const { name } of rows) await observer.publish(name, "", { retain: true });
    });
  });
}

/** When a later connection of the broker's has been served, the will of an earlier one has been said. */
async function settleAfter(observer: Client, client: Client) {
  const id = client.mqtt.options.clientId as string;
  await until(`${id} is gone`, () => broker.log().includes(`Client ${id} `) && isGone(id));
  await settle(observer, observer, topic("nothing"));
}

/** The broker has logged as many ends of this client's as beginnings. */
function isGone(id: string): boolean {
  const lines = broker.log().split("\n");
  const count = (words: RegExp) =>
    lines.filter((line) => words.test(line) && line.includes(`${id} `)).length;
  return count(/ as \S+ \(p/) <= count(/Client \S+ (closed|disconnected)/);
}
