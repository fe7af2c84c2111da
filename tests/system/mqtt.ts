/** Clients that speak MQTT, as an app on a phone would: commands up, answers and events down. */
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import mqtt, { type IClientPublishOptions, type MqttClient } from "mqtt";
import { type Command, encodeCommand } from "../../clients/web/src/codec.ts";
import {
  type ConversationEvent,
  type Item,
  PbfReader,
  type Reply,
  readServerFrame,
} from "../../clients/web/src/gen/martlet.js";
import { server, token, until } from "./support.ts";

export const root = "martlet/v1";

export type Version = 4 | 5;
export const versions: Version[] = [4, 5];

export interface Arrival {
  topic: string;
  item: Item;
  qos: number;
  correlation: string;
}

export interface Phone {
  readonly user: string;
  readonly device: string;
  readonly mqtt: MqttClient;
  /** All that came, in order. */
  readonly arrivals: Arrival[];
  ask(command: Command): Promise<Reply>;
  /** Publishes what it likes where it likes. */
  publish(topic: string, bytes: Uint8Array, options?: IClientPublishOptions): Promise<void>;
  subscribe(...topics: string[]): Promise<void>;
  all<Kind extends keyof Item>(kind: Kind): NonNullable<Item[Kind]>[];
  events(conversationId: string): ConversationEvent[];
  /** Whether the broker had kept its session. */
  readonly isSessionPresent: boolean;
  close(): Promise<void>;
}

export interface PhoneOptions {
  device?: string;
  version?: Version;
  /** Seconds that the session outlives the connection; 0: a clean one. */
  keepS?: number;
  login?: { username: string; password: string };
}

const phones = new Set<Phone>();

export const up = (user: string, device: string): string => `${root}/up/${user}/${device}`;
export const down = (user: string, device: string): string => `${root}/d/${user}/${device}`;
export const eventsOf = (id: string): string => `${root}/c/${id}/e`;
export const signalsOf = (id: string): string => `${root}/c/${id}/s`;
export const newsOf = (user: string): string => `${root}/u/${user}/e`;

/** Where Mosquitto is. */
export const broker = `mqtt://127.0.0.1:${process.env.MARTLET_MQTT}`;

/** How a user comes in: with a token, or as the one user whom a broker without our plugin knows. */
export const login = (user: string): { username: string; password: string } => {
  const known = process.env.MARTLET_MQTT_USER;
  return known ? { username: known, password: known } : { username: user, password: token(user) };
};

/** A bridge's: it may do everything. */
export const bridgeLogin = (): { username: string; password: string } => ({
  username: "bridge",
  password: readFileSync(`${server.folder}/mosquitto/password`, "utf8").trim(),
});

const base = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token that lets a service notify, as an application would make it. */
function serviceToken(name: string): string {
  const secret = readFileSync(`${server.folder}/keys/development.secret`);
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const claims = { sub: name, martlet_service: name, scope: "notify", exp };
  const text = `${base({ alg: "HS256", kid: "development" })}.${base(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

/** The same for a service. */
export const serviceLogin = (name: string): { username: string; password: string } => {
  const known = process.env.MARTLET_MQTT_USER;
  return known ? login(name) : { username: `service:${name}`, password: serviceToken(name) };
};

/** How our own programs come in where Mosquitto has no plugin of ours; otherwise they need no telling. */
export function loginWords(): string[] {
  const known = process.env.MARTLET_MQTT_USER;
  const passwordFile = `${server.folder}/device.password`;
  if (!known) return [];
  writeFileSync(passwordFile, `${known}\n`);
  return ["--login", known, "--password-file", passwordFile];
}

/** Connected, and hears its answers and its user's news. */
export async function phone(user: string, options: PhoneOptions = {}): Promise<Phone> {
  const { device = "phone", version = 5, keepS = 0 } = options;
  const arrivals: Arrival[] = [];
  const waiting = new Map<number, (reply: Reply) => void>();
  const client = mqtt.connect(broker, {
    ...(options.login ?? login(user)),
    clientId: `${user}/${device}`,
    protocolVersion: version,
    clean: keepS === 0,
    reconnectPeriod: 0,
    manualConnect: true,
    ...(version === 5 ? { properties: { sessionExpiryInterval: keepS } } : {}),
  });
  let isSessionPresent = false;
  let lastRequest = Math.floor(Math.random() * 1e6);
  client.on("message", (topic, payload, packet) => {
    if (topic.startsWith(`${root}/bus/`)) return; // for nodes: no ServerFrame
    const correlation = packet.properties?.correlationData?.toString() ?? "";
    for (const item of readServerFrame(new PbfReader(new Uint8Array(payload))).items) {
      arrivals.push({ topic, item, qos: packet.qos, correlation });
      if (!item.reply) continue;
      waiting.get(item.reply.requestId)?.(item.reply);
      waiting.delete(item.reply.requestId);
    }
  });
  const connected = new Promise<void>((resolve, reject) => {
    client.once("connect", (packet) => {
      isSessionPresent = packet.sessionPresent;
      resolve();
    });
    client.once("error", reject);
  });
  client.connect();
  await connected;
  // Or each command after an acknowledgement waits 40 ms.
  if (client.stream instanceof Socket) client.stream.setNoDelay(true);
  client.on("error", () => {});
  const one: Phone = {
    user,
    device,
    mqtt: client,
    arrivals,
    get isSessionPresent() {
      return isSessionPresent;
    },
    publish: async (topic, bytes, more = {}) => {
      await client.publishAsync(topic, Buffer.from(bytes), { qos: 1, ...more });
    },
    subscribe: async (...topics) => {
      await client.subscribeAsync(topics, { qos: 1 });
    },
    ask: (command) => {
      const id = ++lastRequest;
      const reply = new Promise<Reply>((resolve) => waiting.set(id, resolve));
      return one.publish(up(user, device), encodeCommand(id, command)).then(() => reply);
    },
    all: (kind) =>
      arrivals.flatMap(({ item }) => (item[kind] ? [item[kind] as NonNullable<never>] : [])),
    events: (id) => one.all("event").filter((event) => event.conversationId === id),
    close: async () => {
      phones.delete(one);
      await client.endAsync();
    },
  };
  phones.add(one);
  await one.subscribe(down(user, device), newsOf(user));
  return one;
}

export async function closePhones(): Promise<void> {
  await Promise.all([...phones].map((one) => one.close()));
}

/** What a client does with the events that it has: in order, once each; what is missing is fetched. */
export async function whole(one: Phone, conversationId: string): Promise<ConversationEvent[]> {
  const known = new Map<number, ConversationEvent>();
  for (const event of one.events(conversationId)) known.set(event.seq, event);
  let after = 0;
  for (;;) {
    while (known.has(after + 1)) after++;
    const { getHistory, error } = await one.ask({
      $case: "getHistory",
      value: { conversationId, afterSeq: after },
    });
    if (!getHistory) throw new Error(JSON.stringify(error));
    for (const event of getHistory.events) known.set(event.seq, event);
    if (!getHistory.hasMore) break;
  }
  return [...known.values()].sort((a, b) => a.seq - b.seq);
}

export const has = (one: Phone, conversationId: string, seq: number): Promise<true> =>
  until(`${one.user}'s phone has ${seq}`, () =>
    one.events(conversationId).some((event) => event.seq === seq) ? true : undefined,
  );
