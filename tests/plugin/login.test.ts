/** Who comes in, under which names, and for how long. */
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import {
  asService,
  asUser,
  type Broker,
  bridge,
  type ConnectOptions,
  closeAll,
  connect,
  fresh,
  inSeconds,
  secret,
  serviceToken,
  sign,
  startBroker,
  topic,
  until,
  userToken,
  versions,
} from "./support.ts";

let broker: Broker;
before(async () => {
  broker = await startBroker();
});
after(closeAll);

const alice = fresh("alice");
const good = userToken(alice);
const [header, claims, signature] = good.split(".") as [string, string, string];
const none = Buffer.from('{"alg":"none"}').toString("base64url");

const refused: [string, ConnectOptions][] = [
  ["nobody in particular", {}],
  ["a user without a password", { username: alice, clientId: `${alice}/phone` }],
  ["another's user name", { username: "bob", password: good, clientId: "bob/phone" }],
  ["another's client id", { username: alice, password: good, clientId: "bob/phone" }],
  [
    "another's client id that begins alike",
    { username: alice, password: good, clientId: `${alice}x/p` },
  ],
  ["a client id without a device", { username: alice, password: good, clientId: alice }],
  [
    "a client id with more than a device",
    { username: alice, password: good, clientId: `${alice}/a/b` },
  ],
  ["a client id of Mosquitto's making", { username: alice, password: good, clientId: "" }],
  [
    "a user name with a wildcard",
    { username: "+", password: sign({ sub: "+", exp: inSeconds(60) }), clientId: "+/phone" },
  ],
  [
    "a user by a service's token",
    { username: "shop", password: serviceToken("shop", "notify"), clientId: "shop/phone" },
  ],
  [
    "a service by a user's token",
    { username: `service:${alice}`, password: good, clientId: `service:${alice}/1` },
  ],
  [
    "another service",
    {
      username: "service:bank",
      password: serviceToken("shop", "notify"),
      clientId: "service:bank/1",
    },
  ],
  [
    "a service without its scope",
    {
      username: "service:shop",
      password: serviceToken("shop", "push"),
      clientId: "service:shop/1",
    },
  ],
  [
    "a gateway without its scope",
    { username: "push:shop", password: serviceToken("shop", "notify"), clientId: "push:shop/1" },
  ],
  ["a bridge by a wrong password", { username: "bridge", password: "wrong", clientId: "b" }],
  [
    "a bridge by a user's token",
    {
      username: "bridge",
      password: sign({ sub: "bridge", exp: inSeconds(60) }),
      clientId: "bridge/1",
    },
  ],
];

const tokens: [string, string][] = [
  ["expired", sign({ sub: alice, exp: inSeconds(-60) })],
  ["not valid yet", sign({ sub: alice, exp: inSeconds(60), nbf: inSeconds(30) })],
  ["without an end", sign({ sub: alice })],
  ["signed by another key", sign({ sub: alice, exp: inSeconds(60) }, {}, randomBytes(48))],
  ["of an unknown key", sign({ sub: alice, exp: inSeconds(60) }, { kid: "other" })],
  ["with alg none", `${none}.${claims}.`],
  ["with alg none and a signature", `${none}.${claims}.${signature}`],
  ["without a signature", `${header}.${claims}.`],
  [
    "with another's claims",
    `${header}.${Buffer.from(JSON.stringify({ sub: alice, exp: 9e9 })).toString("base64url")}.${signature}`,
  ],
  ["with alg HS512", sign({ sub: alice, exp: inSeconds(60) }, { alg: "HS512" })],
  ["of no form", "x"],
  ["of 60 KB", "x".repeat(60_000)],
];

for (const version of versions)
  describe(`over MQTT ${version === 5 ? "5" : "3.1.1"}`, () => {
    const code = version === 5 ? /refused 135/ : /refused 5|refused 2/;

    for (const [what, options] of refused)
      it(`${what} does not come in`, () =>
        assert.rejects(
          connect(broker.port, { version, ...options }),
          version === 5 ? /refused (135|133)/ : code,
        ));

    for (const [what, password] of tokens)
      it(`a token ${what} does not come in`, () =>
        assert.rejects(asUser(broker, alice, { version, password }), code));

    it("a connection ends when its token does", async () => {
      const user = fresh("user");
      const password = sign({ sub: user, exp: inSeconds(-3) });
      // Five seconds of leeway, of which two are left.
      const client = await asUser(broker, user, { version, password });
      const other = await asUser(broker, fresh("other"), { version });
      await until("it is ended", () => !client.isOpen());
      if (version === 5) assert.equal(client.farewell(), 152);
      assert.ok(other.isOpen());
      await other.close();
    });
  });

describe("sessions", () => {
  it("another connection of the same device takes its place, another's can't", async () => {
    const user = fresh("user");
    const first = await asUser(broker, user);
    await assert.rejects(
      connect(broker.port, { username: alice, password: good, clientId: `${user}/phone` }),
      /refused 135/,
    );
    assert.ok(first.isOpen());
    const second = await asUser(broker, user);
    await until("the first is ended", () => !first.isOpen());
    assert.ok(second.isOpen());
    await second.close();
  });

  it("a sleeping session keeps what comes, also over HUP and past its token's end", async () => {
    const user = fresh("user");
    const name = topic("u", user, "e");
    const options = { clean: false, properties: { sessionExpiryInterval: 3600 } };
    const awake = await asUser(broker, user, {
      ...options,
      password: sign({ sub: user, exp: inSeconds(-4) }),
    });
    assert.deepEqual(await awake.subscribe(name), [true]);
    await until("its token has ended", () => !awake.isOpen());
    const other = await asUser(broker, fresh("other"));
    const before = broker.log();
    broker.signal("SIGHUP");
    await until("it is reloaded", () => broker.log().slice(before.length).includes("are read"));
    assert.ok(other.isOpen());
    const one = await bridge(broker);
    await one.publish(name, "while asleep");
    const again = await asUser(broker, user, options);
    await again.heard("while asleep");
    await again.close();
  });

  it("after HUP a new key counts, and one that is gone does not", async () => {
    const own = await startBroker();
    const key = randomBytes(48);
    const byNew = (sub: string) => {
      const base = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const text = `${base({ alg: "HS256", kid: "new" })}.${base({ sub, exp: inSeconds(60) })}`;
      return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
    };
    await assert.rejects(asUser(own, alice, { password: byNew(alice) }), /refused 135/);
    writeFileSync(`${own.folder}/keys/new.secret`, key, { mode: 0o600 });
    let read = own.log().split("are read").length;
    own.signal("SIGHUP");
    await until("it is reloaded", () => own.log().split("are read").length > read);
    await (await asUser(own, alice, { password: byNew(alice) })).close();
    await (await asUser(own, alice)).close();

    writeFileSync(`${own.folder}/keys/broken.secret`, "short", { mode: 0o600 });
    read = own.log().split("are read").length;
    own.signal("SIGHUP");
    await until("it is reloaded", () => own.log().split("are read").length > read);
    assert.match(own.log(), /the old keys stay in force: .*broken.secret is no secret of 32/);
    await (await asUser(own, alice, { password: byNew(alice) })).close();
    assert.ok(secret.length >= 32);
  });

  it("refusals are logged with their reason and without the token", async () => {
    const own = await startBroker();
    await assert.rejects(asUser(own, alice, { password: "my.secret.words" }));
    await assert.rejects(asService(own, "shop", { password: good }));
    await until("both are told", () => own.log().includes("no service's"));
    assert.match(own.log(), /refused 127.0.0.1: the token/);
    assert.ok(!own.log().includes("my.secret") && !own.log().includes(signature));
  });
});
