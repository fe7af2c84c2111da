/** What the broker says of users who are here over MQTT. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { closeWires, connect as session } from "../system/wire.ts";
import {
  asUser,
  type Broker,
  bridge,
  busOfUser,
  type Client,
  closeAll,
  commonPort,
  fresh,
  presenceQuestion,
  presenceWords,
  startBroker,
  topic,
  until,
} from "./support.ts";

let broker: Broker;
let node: Client;
before(async () => {
  broker = await startBroker();
  node = await bridge(broker);
  await node.subscribe(topic("bus", "+"), topic("node", "+"));
});
after(async () => {
  await closeWires();
  await closeAll();
});

const wordsOf = (user: string) =>
  node.messages
    .filter(({ topic: name }) => name === busOfUser(user))
    .flatMap(({ payload }) => presenceWords(payload))
    .filter((word) => word.user === user);

describe("presence", () => {
  it("the broker is a node that is alive", async () => {
    const word = await until("it says so", () =>
      node.messages.find(({ topic: name }) => name === topic("node", "mqtt.test")),
    );
    assert.equal(word.text, "1");
    assert.ok(word.retain);
  });

  it("a user is online with the first client, and offline a grace after the last", async () => {
    const user = fresh("user");
    const one = await asUser(broker, user);
    await until("it is online", () => wordsOf(user).length === 1);
    assert.deepEqual(wordsOf(user)[0], { user, node: "mqtt.test", status: 3 });
    const two = await asUser(broker, user, { clientId: `${user}/tablet` });
    await one.close();
    const begin = Date.now();
    await two.drop();
    await until("it is offline", () => wordsOf(user).length === 2);
    assert.equal(wordsOf(user)[1]?.status, 1);
    assert.ok(Date.now() - begin >= 4_900);
  });

  it("who asks is answered about who is here", async () => {
    const [user, nobody] = [fresh("user"), fresh("nobody")];
    const one = await asUser(broker, user);
    await until("it is online", () => wordsOf(user).length === 1);
    await node.publish(busOfUser(nobody), presenceQuestion(nobody));
    await node.publish(busOfUser(user), presenceQuestion(user));
    await until("it is said again", () => wordsOf(user).length === 2);
    assert.equal(wordsOf(nobody).length, 0);
    await one.close();
  });

  it("who watches over WebSocket sees a member come over MQTT", async () => {
    const [alice, bob] = [fresh("alice"), fresh("bob")];
    const watcher = await session(alice);
    await watcher.ask({ $case: "openDirect", value: { user: bob } });
    await watcher.ask({ $case: "watchPresence", value: { users: [bob] } });
    await asUser({ port: commonPort }, bob);
    await until("alice sees it", () =>
      watcher.items.some(
        (item) =>
          item.presenceChanged?.presence?.user === bob &&
          item.presenceChanged.presence.status === 3,
      ),
    );
  });
});
