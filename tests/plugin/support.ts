/** What the tests of the plugin share: a Mosquitto of their own, clients of it, tokens, memberships. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { PbfReader, PbfWriter } from "pbf";

const required = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run these tests with make test-plugin`);
  return value;
};

export const folder = required("MARTLET_FOLDER");
export const database = required("MARTLET_TEST_DATABASE");
/** The broker of the program under test. */
export const commonPort = Number(required("MARTLET_MQTT"));
const plugin = required("MARTLET_PLUGIN");

export async function until<T>(what: string, condition: () => T | Promise<T>, deadlineMs = 20_000) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// ---- names ------------------------------------------------------------------------------------------

const run = Math.random().toString(36).slice(2, 8);
let last = 0;

/** A name that no other test has. */
export const fresh = (name: string) => `${name}-${run}-${++last}`;

const root = ["martlet", "v1"].join("/");
export const topic = (...levels: (string | number)[]) => [root, ...levels].join("/");

/** The shard of a user, or of a conversation's bytes: FNV-1a. */
export function shardOf(bytes: Uint8Array): number {
  let hash = 2166136261;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619) >>> 0;
  return hash % 64;
}

// ---- tokens -----------------------------------------------------------------------------------------

const base = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
export const secret = readFileSync(`${folder}/keys/development.secret`);
export const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

export function sign(claims: object, header: object = {}, key: Uint8Array = secret): string {
  const text = `${base({ alg: "HS256", kid: "development", ...header })}.${base(claims)}`;
  return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
}

export const userToken = (sub: string, more: object = {}) =>
  sign({ sub, exp: inSeconds(3600), ...more });

export const serviceToken = (name: string, scope: string, more: object = {}) =>
  sign({ sub: name, martlet_service: name, scope, exp: inSeconds(3600), ...more });

// ---- memberships ------------------------------------------------------------------------------------

const psql = execFileSync("sh", ["-c", "ls /usr/lib/postgresql/*/bin/psql | tail -n 1"], {
  encoding: "utf8",
}).trim();

export const sql = (text: string) =>
  execFileSync(psql, ["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text], {
    encoding: "utf8",
  }).trim();

/** A group in PostgreSQL, as if it had been there before the broker started. */
export function makeGroup(...members: string[]): string {
  const id = randomUUID();
  const rows = members.map((user) => `('${id}', '${user}', 1, 1)`).join(", ");
  sql(`insert into martlet.conversations (id, kind, last_seq, member_count, created_by)
         values ('${id}', 2, 10, ${members.length}, '${members[0]}');
       insert into martlet.members (conversation_id, user_id, role, first_seq) values ${rows}`);
  return id;
}

/** Ends a membership in PostgreSQL, and tells nobody. */
export const removeQuietly = (conversation: string, user: string) =>
  sql(`update martlet.conversations set last_seq = last_seq + 1 where id = '${conversation}';
       update martlet.members set left_seq = 11
         where conversation_id = '${conversation}' and user_id = '${user}'`);

// ---- what bridges tell each other -------------------------------------------------------------------

export const bytesOf = (conversation: string) =>
  Buffer.from(conversation.replaceAll("-", ""), "hex");

const entry = (kind: number, write: (pbf: PbfWriter) => void): Buffer => {
  const pbf = new PbfWriter();
  pbf.writeMessage(
    1,
    (_: null, one) => one.writeMessage(kind, (__: null, two) => write(two), null),
    null,
  );
  return Buffer.from(pbf.finish());
};

export const eventEntry = (
  conversation: string,
  seq: number,
  change: { joiners?: string[]; leaver?: string } = {},
) =>
  entry(1, (pbf) => {
    pbf.writeBytesField(1, bytesOf(conversation));
    pbf.writeVarintField(2, seq);
    pbf.writeBytesField(3, Buffer.from("a frame"));
    if (change.leaver) pbf.writeStringField(4, change.leaver);
    for (const joiner of change.joiners ?? []) pbf.writeStringField(6, joiner);
  });

export const membershipEntry = (user: string, conversation: string, since: number) =>
  entry(2, (pbf) => {
    pbf.writeStringField(1, user);
    pbf.writeBytesField(2, bytesOf(conversation));
    pbf.writeVarintField(3, since);
  });

export const presenceQuestion = (user: string) =>
  entry(7, (pbf) => {
    pbf.writeStringField(1, user);
    pbf.writeStringField(2, "test");
  });

/** The words about users in an envelope. */
export function presenceWords(bytes: Uint8Array): { user: string; node: string; status: number }[] {
  const words: { user: string; node: string; status: number }[] = [];
  new PbfReader(bytes).readFields((tag, _, pbf) => {
    if (tag !== 1) return;
    pbf.readMessage((kind, __, one) => {
      if (kind !== 6) return;
      const word = { user: "", node: "", status: 0 };
      one.readMessage((field, ___, two) => {
        if (field === 1) word.user = two.readString();
        if (field === 2) word.node = two.readString();
        if (field === 3) word.status = two.readVarint();
      }, null);
      words.push(word);
    }, null);
  }, null);
  return words;
}

export const busOf = (conversation: string) => topic("bus", shardOf(bytesOf(conversation)));
export const busOfUser = (user: string) => topic("bus", shardOf(Buffer.from(user)));

// ---- brokers ----------------------------------------------------------------------------------------

export interface Broker {
  readonly port: number;
  readonly password: string;
  readonly folder: string;
  readonly pid: number;
  /** Everything that it has logged. */
  log(): string;
  hasEnded(): boolean;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export interface BrokerOptions {
  /** Plugin options that take the place of the usual ones; null leaves one out. */
  plugin?: Record<string, string | null>;
  more?: string[];
  /** Without the plugin: anybody may do anything. */
  isBare?: boolean;
  /** It is not to start: returns when it has ended. */
  fails?: boolean;
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

const brokers: Broker[] = [];

export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const home = mkdtempSync(`${folder}/broker-`);
  const port = await freePort();
  const password = "correct";
  mkdirSync(`${home}/keys`);
  writeFileSync(`${home}/keys/development.secret`, secret, { mode: 0o600 });
  writeFileSync(`${home}/password`, `${password}\n`, { mode: 0o600 });
  const settings: Record<string, string | null> = {
    keys: `${home}/keys`,
    database,
    bridge_password_file: `${home}/password`,
    node: "mqtt.test",
    ...options.plugin,
  };
  const shipped = readFileSync("etc/mosquitto.conf", "utf8").split("\n");
  writeFileSync(
    `${home}/mosquitto.conf`,
    [
      ...shipped.filter((line) => !/^(plugin|log_type|connection_messages)/.test(line)),
      `listener ${port} 127.0.0.1`,
      "log_type all",
      "connection_messages true",
      ...(process.getuid?.() === 0 ? ["user root"] : []),
      ...(options.more ?? []),
      ...(options.isBare ? ["allow_anonymous true"] : [`plugin ${plugin}`]),
      ...Object.entries(options.isBare ? {} : settings).flatMap(([name, value]) =>
        value === null ? [] : [`plugin_opt_${name} ${value}`],
      ),
      "",
    ].join("\n"),
  );
  const child: ChildProcess = spawn("mosquitto", ["-c", `${home}/mosquitto.conf`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const broker: Broker = {
    port,
    password,
    folder: home,
    pid: child.pid as number,
    log: () => log,
    hasEnded,
    signal: (name) => void child.kill(name),
    async stop() {
      child.kill("SIGTERM");
      await until("the broker has ended", hasEnded);
      rmSync(home, { recursive: true, force: true });
      const found = /runtime error/.exec(log);
      if (found || child.signalCode)
        throw new Error(`the broker did not end well: ${log.slice(found?.index ?? -2000)}`);
    },
  };
  brokers.push(broker);
  if (options.fails) await until("the broker gives up", hasEnded);
  else await until(`the broker runs: ${log}`, () => log.includes(" running") || hasEnded());
  if (!options.fails && hasEnded()) throw new Error(`Mosquitto ended: ${log}`);
  return broker;
}

// ---- clients ----------------------------------------------------------------------------------------

export interface Message {
  topic: string;
  payload: Buffer;
  text: string;
  retain: boolean;
}

export interface Client {
  readonly mqtt: MqttClient;
  readonly messages: Message[];
  readonly isOpen: () => boolean;
  /** Why the broker ended it, MQTT 5 only. */
  readonly farewell: () => number | undefined;
  /** Whether each of the filters was granted. */
  subscribe(...filters: string[]): Promise<boolean[]>;
  /** Resolves with what the broker says to it: true for yes, or where MQTT 3.1.1 says nothing else. */
  publish(
    topic: string,
    text?: string | Buffer,
    options?: { retain?: boolean; qos?: 0 | 1 },
  ): Promise<boolean>;
  heard(text: string): Promise<Message>;
  hears(text: string): boolean;
  /** With a normal DISCONNECT: no will. */
  close(): Promise<void>;
  /** Without: the will is said. */
  drop(): Promise<void>;
}

export interface ConnectOptions extends IClientOptions {
  version?: 4 | 5;
}

export const versions = [4, 5] as const;

const clients: Client[] = [];

/** Fails with the broker's return code, as `refused 5` or `refused 135`. */
export async function connect(port: number, options: ConnectOptions): Promise<Client> {
  const { version = 5, ...rest } = options;
  const messages: Message[] = [];
  let farewell: number | undefined;
  const one = mqtt.connect({
    host: "127.0.0.1",
    port,
    protocolVersion: version,
    reconnectPeriod: 0,
    connectTimeout: 20_000,
    ...rest,
  });
  one.on("message", (name, payload, packet) =>
    messages.push({ topic: name, payload, text: payload.toString(), retain: packet.retain }),
  );
  one.on("disconnect", (packet) => {
    farewell = packet.reasonCode;
  });
  await new Promise<void>((resolve, reject) => {
    one.once("connect", () => resolve());
    one.once("error", (error: Error & { code?: number }) =>
      reject(new Error(`refused ${error.code}`)),
    );
    one.once("close", () => reject(new Error("refused: closed")));
  }).catch((error) => {
    one.end(true);
    throw error;
  });
  one.on("error", () => undefined);
  const client: Client = {
    mqtt: one,
    messages,
    isOpen: () => one.connected,
    farewell: () => farewell,
    async subscribe(...filters) {
      const granted: boolean[] = [];
      for (let i = 0; i < filters.length; i += 500) {
        const part = filters.slice(i, i + 500);
        const codes = await new Promise<number[]>((resolve, reject) =>
          one.subscribe(part, { qos: 1 }, (error, grants, packet) => {
            if (packet?.granted) resolve(packet.granted as number[]);
            else if (grants?.length) resolve(grants.map((grant) => grant.qos));
            else reject(error ?? new Error("no SUBACK"));
          }),
        );
        granted.push(...codes.map((code) => code < 128));
      }
      return granted;
    },
    publish: (name, text = "x", more = {}) =>
      new Promise((resolve, reject) =>
        one.publish(name, text, { qos: 1, ...more }, (error) => {
          if (!error) resolve(true);
          else if ((error as { code?: number }).code === 135) resolve(false);
          else reject(error);
        }),
      ),
    hears: (text) => messages.some((message) => message.text === text),
    async heard(text) {
      await until(`${text} is heard`, () => client.hears(text));
      return messages.find((message) => message.text === text) as Message;
    },
    close: () => one.endAsync().then(() => undefined),
    async drop() {
      one.stream.destroy();
      await until("it is closed", () => !one.connected);
      await one.endAsync(true);
    },
  };
  clients.push(client);
  return client;
}

export const bridge = (broker: Broker, more: ConnectOptions = {}) =>
  connect(broker.port, {
    username: "bridge",
    password: broker.password,
    clientId: fresh("bridge"),
    ...more,
  });

export const asUser = (broker: { port: number }, user: string, more: ConnectOptions = {}) =>
  connect(broker.port, {
    username: user,
    password: userToken(user),
    clientId: `${user}/phone`,
    ...more,
  });

export const asService = (broker: { port: number }, name: string, more: ConnectOptions = {}) =>
  connect(broker.port, {
    username: `service:${name}`,
    password: serviceToken(name, "notify"),
    clientId: `service:${name}/1`,
    ...more,
  });

export const asGateway = (broker: { port: number }, name: string, more: ConnectOptions = {}) =>
  connect(broker.port, {
    username: `push:${name}`,
    password: serviceToken(name, "push"),
    clientId: `push:${name}/1`,
    ...more,
  });

/** When this returns, all that was published before has come to `observer`, or never will. */
export async function settle(publisher: Client, observer: Client, name: string) {
  const mark = fresh("mark");
  await publisher.publish(name, mark);
  await observer.heard(mark);
}

export async function closeAll() {
  for (const client of clients.splice(0)) client.mqtt.end(true);
  const ends = await Promise.allSettled(brokers.splice(0).map((broker) => broker.stop()));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
