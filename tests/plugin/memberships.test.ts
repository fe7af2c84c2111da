/** Memberships in the broker's memory: loaded, followed, and what happens when news or PostgreSQL is lost. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { type Command, closeWires, connect as openSession } from "../system/wire.ts";
import {
  asUser,
  type Broker,
  bridge,
  busOf,
  busOfUser,
  type Client,
  closeAll,
  commonPort,
  database,
  eventEntry,
  fresh,
  makeGroup,
  membershipEntry,
  removeQuietly,
  settle,
  startBroker,
  topic,
  until,
  versions,
} from "./support.ts";

let broker: Broker;
let node: Client;
before(async () => {
  broker = await startBroker();
  node = await bridge(broker);
});
after(async () => {
  await closeWires();
  await closeAll();
});

const events = (conversation: string) => topic("c", conversation, "e");

/** Whether a message on the conversation reaches the client now. */
async function reaches(client: Client, conversation: string): Promise<boolean> {
  const text = fresh("event");
  const user = client.mqtt.options.username as string;
  await node.publish(events(conversation), text);
  await settle(node, client, topic("u", user, "e"));
  return client.hears(text);
}

const listener = async (user: string, version: 4 | 5 = 5) => {
  const client = await asUser(broker, user, { version });
  await client.subscribe(topic("u", user, "e"));
  return client;
};

for (const version of versions)
  describe(`members over MQTT ${version === 5 ? "5" : "3.1.1"}`, () => {
    it("delivery begins with the event that adds, and ends with the one that removes", async () => {
      const [alice, bob] = [fresh("alice"), fresh("bob")];
      const group = randomUUID();
      const one = await listener(alice, version);
      assert.deepEqual(await one.subscribe(events(group)), [false]);
      await node.publish(busOf(group), eventEntry(group, 1, { joiners: [alice, bob] }));
      assert.deepEqual(await one.subscribe(events(group)), [true]);
      assert.ok(await reaches(one, group));
      await node.publish(busOf(group), eventEntry(group, 2, { leaver: alice }));
      assert.ok(!(await reaches(one, group)));
      assert.deepEqual(await one.subscribe(events(group)), [false]);
      // The subscription has stayed, and is good again.
      await node.publish(busOf(group), eventEntry(group, 3, { joiners: [alice] }));
      assert.ok(await reaches(one, group));
      await one.close();
    });

    it("nothing that is published right behind the removal is delivered", async () => {
      const alice = fresh("alice");
      const group = randomUUID();
      await node.publish(busOf(group), eventEntry(group, 1, { joiners: [alice] }));
      const one = await listener(alice, version);
      await one.subscribe(events(group));
      const sent = [];
      for (let i = 0; i < 100; i++) sent.push(node.publish(events(group), `before ${i}`));
      sent.push(node.publish(busOf(group), eventEntry(group, 2, { leaver: alice })));
      for (let i = 0; i < 100; i++) sent.push(node.publish(events(group), `after ${i}`));
      await Promise.all(sent);
      await settle(node, one, topic("u", alice, "e"));
      assert.ok(one.hears("before 99"));
      assert.ok(!one.messages.some(({ text }) => text.startsWith("after")));
      await one.close();
    });
  });

describe("order", () => {
  it("the event's number decides, not when it comes", async () => {
    const alice = fresh("alice");
    const group = randomUUID();
    const one = await listener(alice);
    await node.publish(busOf(group), eventEntry(group, 5, { leaver: alice }));
    await node.publish(busOf(group), eventEntry(group, 4, { joiners: [alice] }));
    assert.deepEqual(await one.subscribe(events(group)), [false]);
    await node.publish(busOfUser(alice), membershipEntry(alice, group, 3));
    assert.deepEqual(await one.subscribe(events(group)), [false]);
    await node.publish(busOfUser(alice), membershipEntry(alice, group, 6));
    assert.deepEqual(await one.subscribe(events(group)), [true]);
    await one.close();
  });

  it("a sleeping member that is removed gets nothing that came after", async () => {
    const alice = fresh("alice");
    const group = randomUUID();
    const options = { clean: false, properties: { sessionExpiryInterval: 3600 } };
    await node.publish(busOf(group), eventEntry(group, 1, { joiners: [alice] }));
    const one = await asUser(broker, alice, options);
    await one.subscribe(events(group), topic("u", alice, "e"));
    await one.close();
    await node.publish(events(group), "before");
    await node.publish(busOf(group), eventEntry(group, 2, { leaver: alice }));
    await node.publish(events(group), "after");
    const again = await asUser(broker, alice, options);
    await settle(node, again, topic("u", alice, "e"));
    assert.ok(!again.hears("after"));
    await again.close();
  });

  it("bytes that are no envelope do no harm", async () => {
    const group = makeGroup(fresh("alice"));
    for (const bytes of [Buffer.from("nonsense"), Buffer.alloc(100_000, 0xff), Buffer.alloc(0)])
      await node.publish(busOf(group), bytes);
    await node.publish(busOf(group), eventEntry(group, 11, { joiners: ["not a user", ""] }));
    assert.ok(!broker.hasEnded());
  });
});

describe("lost news", () => {
  it("a removal that nobody told is found when a bridge comes back", async () => {
    const alice = fresh("alice");
    const group = makeGroup(alice);
    const own = await startBroker();
    const keeper = await bridge(own);
    const one = await asUser(own, alice);
    assert.deepEqual(await one.subscribe(events(group)), [true]);
    removeQuietly(group, alice);
    assert.deepEqual(await one.subscribe(events(group)), [true]);
    await keeper.publish(topic("node", "worker"), "1", { retain: true });
    await until("it is not allowed any more", async () => !(await one.subscribe(events(group)))[0]);
  });

  it("and by itself after a while", async () => {
    const alice = fresh("alice");
    const group = makeGroup(alice);
    const own = await startBroker({ plugin: { reload_s: "5" } });
    const one = await asUser(own, alice);
    assert.deepEqual(await one.subscribe(events(group)), [true]);
    removeQuietly(group, alice);
    await until("it is not allowed any more", async () => !(await one.subscribe(events(group)))[0]);
  });
});

/** A way to PostgreSQL that can be closed and opened. */
async function gate() {
  const port = Number(/port=(\d+)/.exec(database)?.[1]);
  const sockets = new Set<Socket>();
  let isOpen = false;
  const server: Server = createServer((socket) => {
    if (!isOpen) return void socket.destroy();
    const far = dial(port, "127.0.0.1");
    for (const one of [socket, far]) {
      sockets.add(one);
      one
        .on("error", () => one.destroy())
        .on("close", () => [socket, far].map((end) => end.destroy()));
    }
    socket.pipe(far).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const own = (server.address() as { port: number }).port;
  return {
    connection: database.replace(/port=\d+/, `port=${own}`),
    open: () => {
      isOpen = true;
    },
    close: () => {
      isOpen = false;
      for (const socket of sockets) socket.destroy();
    },
    end: () => server.close(),
  };
}

describe("PostgreSQL away", () => {
  it("at the start conversations are denied, the rest works, until it is there", async () => {
    const alice = fresh("alice");
    const group = makeGroup(alice);
    const way = await gate();
    const own = await startBroker({ plugin: { database: way.connection } });
    const one = await asUser(own, alice);
    assert.deepEqual(await one.subscribe(events(group), topic("u", alice, "e")), [false, true]);
    assert.match(own.log(), /memberships can't be read: /);
    way.open();
    await until("it is allowed", async () => (await one.subscribe(events(group)))[0]);
    way.close();
    const keeper = await bridge(own);
    await keeper.publish(topic("node", "worker"), "1");
    const length = own.log().length;
    await until("it is missed", () => own.log().slice(length).includes("can't be read"));
    // What was known is known, and what is told is followed.
    assert.deepEqual(await one.subscribe(events(group)), [true]);
    await keeper.publish(busOf(group), eventEntry(group, 11, { leaver: alice }));
    assert.deepEqual(await one.subscribe(events(group)), [false]);
    way.end();
  });
});

describe("with the program", () => {
  it("who is added over WebSocket hears over MQTT, and who is removed does not", async () => {
    const [owner, alice, bob] = [fresh("owner"), fresh("alice"), fresh("bob")];
    const session = await openSession(owner);
    const id = randomUUID();
    const common = { port: commonPort };
    const one = await asUser(common, alice);
    const two = await asUser(common, bob);
    const change = async (command: Command) => {
      const reply = await session.ask(command);
      assert.ok(!reply.error, JSON.stringify(reply));
    };
    const value = { conversationId: id, title: "over MQTT", members: [alice] };
    await change({ $case: "createGroup", value } as Command);
    await until("alice is in", async () => (await one.subscribe(events(id)))[0]);
    assert.deepEqual(await two.subscribe(events(id)), [false]);
    await change({ $case: "addMembers", value: { conversationId: id, users: [bob] } } as Command);
    await until("bob is in", async () => (await two.subscribe(events(id)))[0]);
    await change({ $case: "removeMember", value: { conversationId: id, user: alice } } as Command);
    await until("alice is out", async () => !(await one.subscribe(events(id)))[0]);
    assert.deepEqual(await two.subscribe(events(id)), [true]);
  });
});
