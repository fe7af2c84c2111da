/**
 * One seed of the model test: six users with one or two devices each do at random what may be done in one
 * conversation, and the model (model.ts) does the same.
 *
 * Commands race, so the model follows the log: of those sent at once it takes the ones that got a number in the
 * order of their numbers, and of the others it asks only that they ended as they would have at some moment
 * between the first and the last.
 */
import assert from "node:assert/strict";
import type { Conversation, ConversationEvent } from "../../clients/web/src/gen/martlet.js";
import {
  type Act,
  copyOf,
  createModel,
  type Entry,
  isRedacted,
  lastSeq,
  type Membership,
  type Model,
  membershipOf,
  membersOf,
  messageAt,
  type Outcome,
  OWNER,
  perform,
  rangeOf,
  receiptsOf,
  unreadOf,
} from "./model.ts";
import { freshUser } from "./support.ts";
import {
  countUnread,
  createView,
  learn,
  membersFrom,
  messagesOf,
  take,
  takeMark,
  type View,
} from "./view.ts";
import {
  type Command,
  codeOf,
  connect,
  createGroup,
  does,
  openDirect,
  type Reply,
  randomOf,
  seqOf,
  textBytes,
  uuid,
  type Wire,
} from "./wire.ts";

interface Device {
  user: string;
  name: string;
  view: View;
  wire: Wire | undefined;
  connecting: Promise<void> | undefined;
}

export interface Scenario {
  seed: number;
  random: (below: number) => number;
  id: string;
  model: Model;
  users: string[];
  devices: Device[];
  /** What was done, for the report of a failure. */
  story: string[];
  /** The first thing that a client saw and could not be. */
  failure: Error | undefined;
  /** Messages that were redacted before everybody was last seen to have everything. */
  emptied: Set<number>;
  /** Sends that may be repeated. */
  sends: { user: string; act: Extract<Act, { kind: "send" }> }[];
  commands: number;
  slowestMs: number;
}

const symbols = ["👍", "❤️", "ok", "🇪🇺"];

const pick = <T>(scenario: Scenario, list: readonly T[]): T =>
  list[scenario.random(list.length)] as T;

function toCommand(conversationId: string, act: Act): Command {
  const at = { conversationId };
  switch (act.kind) {
    case "send": {
      const { id: clientMessageId, contentType, mentions, replyTo: replyToSeq } = act;
      const value = { ...at, clientMessageId, contentType, mentions, replyToSeq };
      return { $case: "sendMessage", value: { ...value, body: textBytes(act.body) } };
    }
    case "edit": {
      const { seq, contentType, mentions } = act;
      const value = { ...at, seq, contentType, mentions, body: textBytes(act.body) };
      return { $case: "editMessage", value };
    }
    case "redact":
      return { $case: "redactMessage", value: { ...at, seq: act.seq } };
    case "react":
    case "unreact":
      return { $case: act.kind, value: { ...at, seq: act.seq, symbol: act.symbol } };
    case "delivered":
      return { $case: "markDelivered", value: { ...at, seq: act.seq } };
    case "read":
      return { $case: "markRead", value: { ...at, seq: act.seq } };
    case "add":
      return { $case: "addMembers", value: { ...at, users: act.users } };
    case "remove":
      return { $case: "removeMember", value: { ...at, user: act.user } };
    case "leave":
      return { $case: "leave", value: at };
    case "role":
      return { $case: "setRole", value: { ...at, user: act.user, role: act.role as 1 } };
    case "title":
      return { $case: "updateGroup", value: { ...at, title: act.title } };
    case "announcement":
    case "fullHistory":
      return { $case: "updateGroup", value: { ...at, [act.kind]: act.isOn } };
    case "mute":
      return { $case: "setMute", value: { ...at, untilMs: act.until } };
  }
}

// ---- devices ---------------------------------------------------------------------------------------

/** What was redacted long ago is told to nobody, from whatever memory. */
function checkEmptied(scenario: Scenario, { event }: Parameters<typeof take>[1]): void {
  const target = event?.messageEdited?.targetSeq ?? event?.seq ?? 0;
  const body = (event?.message ?? event?.messageEdited)?.body ?? [];
  if (scenario.emptied.has(target) && body.length > 0)
    throw new Error(`${event?.seq} is told with the body of ${target}, which is redacted`);
}

function connectDevice(scenario: Scenario, device: Device): Promise<void> {
  const { view } = device;
  const { cursor: seq, stateVersion } = view;
  view.isTold = false;
  const cursors = view.isKept ? [{ conversationId: scenario.id, seq, stateVersion }] : [];
  const onItem = (item: Parameters<typeof take>[1]) => {
    try {
      checkEmptied(scenario, item);
      take(view, item);
    } catch (error) {
      scenario.failure ??= error as Error;
    }
  };
  device.connecting = connect(device.user, { device: device.name, cursors, onItem })
    .then((wire) => {
      device.wire = wire;
    })
    .catch((error) => {
      scenario.failure ??= error;
    })
    .finally(() => {
      device.connecting = undefined;
    });
  return device.connecting;
}

async function disconnectDevice(device: Device): Promise<void> {
  await device.connecting;
  await device.wire?.close();
  device.wire = undefined;
}

const readyDevices = (scenario: Scenario, user?: string): Device[] =>
  scenario.devices.filter((d) => d.wire && !d.connecting && (!user || d.user === user));

/** Pages backwards from what it has, as far as it may. */
async function pagePast(scenario: Scenario, device: Device | undefined): Promise<void> {
  if (!device) return;
  const { view, wire } = device;
  if (!wire || !view.isMember || view.from <= view.firstSeq) return;
  const value = {
    conversationId: scenario.id,
    beforeSeq: view.from,
    limit: 1 + scenario.random(20),
  };
  const reply = await wire.ask({ $case: "getHistory", value });
  const events = reply.getHistory?.events ?? [];
  for (const event of events) learn(view, event);
  // While this was read the user may have lost what it was about to see.
  if (events.at(-1)?.seq === view.from - 1) view.from = events[0]?.seq ?? view.from;
}

/** Who was told that it is gone pages the rest, up to its going. */
async function pageRest(scenario: Scenario, device: Device): Promise<void> {
  const { view, wire } = device;
  const range = rangeOf(scenario.model, view.user);
  if (!wire || !range || view.cursor >= range.last) return;
  const events = await readAll(wire, scenario, view.cursor);
  for (const event of events) learn(view, event);
  const first = events[0]?.seq ?? view.cursor + 1;
  if (first > view.cursor + 1) view.from = first;
  view.cursor = range.last;
}

// ---- doing -----------------------------------------------------------------------------------------

function chooseSeq(scenario: Scenario): number {
  const messages = scenario.model.log.filter((e) => e.kind === "message").slice(-12);
  if (messages.length === 0 || scenario.random(10) === 0)
    return 1 + scenario.random(lastSeq(scenario.model) + 2);
  return pick(scenario, messages).seq;
}

function chooseContent(scenario: Scenario) {
  const { random } = scenario;
  const body = `${scenario.story.length} ${"é".repeat(random(30))}`;
  const contentType = random(4) === 0 ? "text/markdown" : "";
  const mentions = random(5) === 0 ? [pick(scenario, scenario.users), "somebody"] : [];
  return { body, contentType, mentions };
}

const kinds: [Act["kind"], number][] = [
  ["send", 30],
  ["edit", 12],
  ["redact", 5],
  ["react", 12],
  ["unreact", 7],
  ["delivered", 6],
  ["read", 9],
  ["add", 9],
  ["remove", 5],
  ["leave", 2],
  ["role", 7],
  ["title", 3],
  ["announcement", 2],
  ["fullHistory", 3],
  ["mute", 4],
];
const allWeights = kinds.reduce((sum, [, weight]) => sum + weight, 0);

function chooseKind(scenario: Scenario): Act["kind"] {
  let left = scenario.random(allWeights);
  for (const [kind, weight] of kinds) {
    left -= weight;
    if (left < 0) return kind;
  }
  return "send";
}

function chooseAct(scenario: Scenario, user: string): Act {
  const { random } = scenario;
  const kind = chooseKind(scenario);
  switch (kind) {
    case "send": {
      const before = scenario.sends.filter((s) => s.user === user).slice(-4);
      const again = random(6) === 0 ? pick(scenario, before) : undefined;
      const replyTo = random(4) === 0 ? chooseSeq(scenario) : 0;
      const act = { kind, id: again?.act.id ?? uuid(), replyTo, ...chooseContent(scenario) };
      scenario.sends.push({ user, act });
      return act;
    }
    case "edit": {
      const seq = chooseSeq(scenario);
      const { body, contentType, mentions } =
        (scenario.model.log[seq - 1] as Extract<Entry, { kind: "message" }>) ?? {};
      // What it was is a change only if it was edited meanwhile.
      if (body && random(6) === 0) return { kind, seq, body, contentType, mentions };
      return { kind, seq, ...chooseContent(scenario) };
    }
    case "redact":
      return { kind, seq: chooseSeq(scenario) };
    case "react":
    case "unreact":
      return { kind, seq: chooseSeq(scenario), symbol: pick(scenario, symbols) };
    case "delivered":
    case "read":
      return { kind, seq: 1 + random(lastSeq(scenario.model)) };
    case "add":
      return { kind, users: [pick(scenario, scenario.users), pick(scenario, scenario.users)] };
    case "remove":
      return { kind, user: pick(scenario, scenario.users) };
    case "leave":
      return { kind };
    case "role":
      return { kind, user: pick(scenario, scenario.users), role: 1 + random(3) };
    case "title":
      return { kind, title: `title ${random(5)}` };
    case "announcement":
    case "fullHistory":
      return { kind, isOn: random(2) === 0 };
    case "mute":
      return { kind, until: pick(scenario, [0, 0, Date.now() + 1000 * random(1e6), 2 ** 50]) };
  }
}

interface Doing {
  device: Device;
  act: Act;
  reply: Reply;
}

const ended = ({ reply }: Doing): Outcome => ({
  code: codeOf(reply),
  seq: seqOf(reply),
  ...(reply.sendMessage?.duplicate ? { duplicate: true } : {}),
});

const tell = ({ device, act }: Pick<Doing, "device" | "act">) =>
  `${device.name} on ${device.wire?.node}: ${JSON.stringify(act)}`;

/** Brings the model to where the log is, and asks that everything ended as it may have. */
function follow(scenario: Scenario, doings: Doing[]): void {
  const { model } = scenario;
  const numbered = doings
    .filter((doing) => ended(doing).seq > 0 && !ended(doing).duplicate)
    .sort((a, b) => ended(a).seq - ended(b).seq);
  const moments = [copyOf(model)];
  for (const doing of numbered) {
    const outcome = perform(model, doing.device.user, doing.act);
    assert.deepEqual(outcome, ended(doing), `${tell(doing)}: ${doing.reply.error?.message ?? ""}`);
    moments.push(copyOf(model));
  }
  for (const doing of doings) {
    if (numbered.includes(doing)) continue;
    const outcomes = moments.map((moment) => perform(copyOf(moment), doing.device.user, doing.act));
    const isRight = outcomes.some((o) => JSON.stringify(o) === JSON.stringify(ended(doing)));
    if (!isRight) assert.deepEqual(ended(doing), outcomes.at(-1), tell(doing));
    const isQuiet = ["delivered", "read", "mute"].includes(doing.act.kind);
    if (isQuiet && ended(doing).code === "OK") perform(model, doing.device.user, doing.act);
  }
}

/** The session that asked is not told what it did; it has the answer. */
function takeAnswer({ device, act, reply }: Doing): void {
  if (reply.mark) takeMark(device.view, reply.mark.deliveredSeq, reply.mark.readSeq);
  if (act.kind === "mute" && reply.done)
    device.view.mutedUntil = Math.min(act.until, 253402300799999);
}

function checkMark(scenario: Scenario, { device, act, reply }: Doing): void {
  const membership = membershipOf(scenario.model, device.user);
  if (!reply.mark || !membership) return;
  const { delivered, read } = membership;
  const unread = unreadOf(scenario.model, device.user);
  assert.deepEqual(
    reply.mark,
    { deliveredSeq: delivered, readSeq: read, unreadCount: unread },
    JSON.stringify(act),
  );
}

function choose(scenario: Scenario): Pick<Doing, "device" | "act"> | undefined {
  const ready = readyDevices(scenario);
  const members = ready.filter((d) => membershipOf(scenario.model, d.user));
  const device = pick(scenario, scenario.random(7) === 0 || !members.length ? ready : members);
  return device && { device, act: chooseAct(scenario, device.user) };
}

async function burst(scenario: Scenario, size: number): Promise<void> {
  const chosen: Pick<Doing, "device" | "act">[] = [];
  for (let i = 0; i < size; i++) {
    const one = choose(scenario);
    // Mutings have no number, so of two at once nobody can say which was the last.
    if (one && (size === 1 || one.act.kind !== "mute")) chosen.push(one);
    // The same message from two devices at once.
    const twin = one && pick(scenario, readyDevices(scenario, one.device.user));
    if (one?.act.kind === "send" && twin && size > 1 && scenario.random(5) === 0)
      chosen.push({ device: twin, act: { ...one.act } });
  }
  scenario.story.push(chosen.map(tell).join("\n  & "));
  const doings = await Promise.all(
    chosen.map(async ({ device, act }) => {
      const reply = await (device.wire as Wire).ask(toCommand(scenario.id, act));
      takeAnswer({ device, act, reply });
      return { device, act, reply };
    }),
  );
  scenario.commands += doings.length;
  follow(scenario, doings);
  if (doings.length !== 1) return;
  const [doing] = doings as [Doing];
  checkMark(scenario, doing);
  // Mutings have no number: of two by two devices, sooner after one another than the bus is, a session may hear in
  // the other order. So each is heard of before the next.
  const until = membershipOf(scenario.model, doing.device.user)?.mutedUntil;
  if (doing.act.kind === "mute" && until !== undefined)
    for (const { name, view } of readyDevices(scenario, doing.device.user))
      await untilEqual(scenario, `${name} hears of the muting`, () => view.mutedUntil, until);
}

/** A device goes, comes back, or begins anew with nothing. */
async function shuffle(scenario: Scenario): Promise<void> {
  const device = pick(scenario, scenario.devices);
  if (device.connecting) return;
  const isNew = scenario.random(5) === 0;
  scenario.story.push(
    `${device.name} ${device.wire ? "goes" : "returns"}${isNew ? ", as new" : ""}`,
  );
  if (device.wire) await disconnectDevice(device);
  else void connectDevice(scenario, device);
  if (!isNew || device.wire || device.connecting) return;
  device.view = createView(device.user, scenario.id);
  device.name += ".";
  void connectDevice(scenario, device);
}

// ---- comparing -------------------------------------------------------------------------------------

/** Waits until two things are equal; the difference is the error. */
async function untilEqual<T>(scenario: Scenario, what: string, actual: () => T, expected: T) {
  const begin = Date.now();
  const wanted = JSON.stringify(expected);
  while (JSON.stringify(actual()) !== wanted && !scenario.failure) {
    if (Date.now() - begin > 15_000) assert.deepEqual(actual(), expected, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (scenario.failure) throw scenario.failure;
  scenario.slowestMs = Math.max(scenario.slowestMs, Date.now() - begin);
}

type Standing = Omit<Membership, "leftSeq"> & Record<string, unknown>;

/** How a conversation stands for a member, by the model. */
function standing(model: Model, user: string): Standing {
  const { leftSeq, ...membership } = membershipOf(model, user) as Membership;
  const { title, announcement, fullHistory } = model;
  const others = membersOf(model).filter((one) => one !== user);
  return {
    ...membership,
    title,
    announcement,
    fullHistory,
    last: lastSeq(model),
    memberCount: others.length + 1,
    unread: unreadOf(model, user),
    receipts: others.map((one) => {
      const { delivered, read } = model.members.get(one) as Membership;
      return { user: one, delivered, read };
    }),
  };
}

/** The same, by a client's own view. */
function standingOfView(view: View, unread: number | undefined): Standing {
  const { role, firstSeq, delivered, read, mutedUntil } = view;
  const { title, announcement, fullHistory, cursor: last, memberCount } = view;
  return {
    ...{ role, firstSeq, delivered, read, mutedUntil, title, announcement, fullHistory, last },
    memberCount,
    unread: countUnread(view) ?? unread ?? 0,
    receipts: [...view.receipts]
      .map(([user, receipt]) => ({ user, ...receipt }))
      .sort((a, b) => (a.user < b.user ? -1 : 1)),
  };
}

/** The same, as the server tells it. */
function standingOfServer(told: Conversation): Standing {
  const { role, firstSeq, deliveredSeq: delivered, readSeq: read, mutedUntilMs, title } = told;
  const { announcement, fullHistory, lastSeq: last, memberCount, unreadCount: unread } = told;
  return {
    ...{ role, firstSeq, delivered, read, mutedUntil: mutedUntilMs, title, announcement },
    ...{ fullHistory, last, memberCount, unread },
    receipts: told.receipts.map(({ user, deliveredSeq, readSeq }) => ({
      user,
      delivered: deliveredSeq,
      read: readSeq,
    })),
  };
}

function messagesBetween(model: Model, user: string, first: number, last: number) {
  return model.log
    .filter((e) => e.kind === "message" && e.seq >= first && e.seq <= last)
    .map((e) => messageAt(model, e.seq, user, last));
}

async function compareView(scenario: Scenario, { view, name }: Device): Promise<void> {
  const { model } = scenario;
  if (!membershipOf(model, view.user)) {
    await untilEqual(scenario, `${name} is out`, () => view.isMember, false);
    return;
  }
  const expected = standing(model, view.user);
  await untilEqual(scenario, `${name} is in`, () => view.isMember, true);
  await untilEqual(
    scenario,
    `how it stands for ${name}`,
    () => standingOfView(view, unreadOf(model, view.user)),
    expected,
  );
  const first = Math.max(view.from, view.firstSeq);
  assert.deepEqual(
    messagesOf(view).filter(({ seq }) => seq >= first),
    messagesBetween(model, view.user, first, lastSeq(model)),
    `messages of ${name}`,
  );
  const members = membersFrom(view);
  if (members && !model.isDirect)
    assert.deepEqual(
      [...members].sort(),
      membersOf(model).map((user) => [user, model.members.get(user)?.role]),
      `members by ${name}`,
    );
}

/** What was kept by a device of one who is gone: what there was up to its going. */
async function compareKept(scenario: Scenario, device: Device): Promise<void> {
  const { model } = scenario;
  const { view } = device;
  const range = rangeOf(model, view.user);
  if (!view.isKept || !range || membershipOf(model, view.user)) return;
  await pageRest(scenario, device);
  assert.equal(view.cursor, range.last, `${device.name} has all up to its going`);
  const first = Math.max(view.from, range.first);
  // What was redacted later is not told to who is gone; who asks again finds it empty.
  const told = messagesOf(view).filter(({ seq }) => seq >= first);
  const wanted = messagesBetween(model, view.user, first, range.last);
  const isLater = (seq: number) => isRedacted(model, seq) && !isRedacted(model, seq, range.last);
  assert.deepEqual(
    told.filter(({ seq }) => !isLater(seq)),
    wanted.filter(({ seq }) => !isLater(seq)),
    `messages kept by ${device.name}`,
  );
}

async function readAll(wire: Wire, scenario: Scenario, after: number) {
  const events: ConversationEvent[] = [];
  for (let at = after; ; ) {
    const value = { conversationId: scenario.id, afterSeq: at, limit: 1 + scenario.random(60) };
    const { getHistory } = await does(wire, { $case: "getHistory", value });
    events.push(...(getHistory?.events ?? []));
    scenario.commands++;
    if (!getHistory?.hasMore) return events;
    at = events.at(-1)?.seq ?? at;
  }
}

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

/** An event of a page of history in the model's form. */
function toEntry(event: ConversationEvent): unknown {
  const { seq, sender, created, message, messageEdited, messageRedacted } = event;
  const { reactionChanged, membersAdded, memberRemoved, roleChanged, groupUpdated } = event;
  if (created) {
    const { memberCount, ...rest } = created;
    assert.equal(memberCount, rest.members.length);
    return { seq, sender, kind: "created", ...rest };
  }
  if (message)
    return {
      seq,
      sender,
      id: message.clientMessageId,
      body: text(message.body),
      contentType: message.contentType,
      mentions: message.mentions,
      replyTo: message.replyToSeq,
      editedSeq: message.editedSeq,
      redacted: message.redactedSeq > 0,
      reactions: message.reactions,
    };
  if (messageEdited) {
    const { targetSeq: target, body, contentType, mentions } = messageEdited;
    return { seq, sender, kind: "edited", target, body: text(body), contentType, mentions };
  }
  if (messageRedacted) return { seq, sender, kind: "redacted", target: messageRedacted.targetSeq };
  if (reactionChanged) {
    const { targetSeq: target, symbol, added } = reactionChanged;
    return { seq, sender, kind: "reaction", target, symbol, added };
  }
  if (membersAdded) return { seq, sender, kind: "added", users: membersAdded.users };
  if (memberRemoved) return { seq, sender, kind: "removed", user: memberRemoved.user };
  if (roleChanged) return { seq, sender, kind: "role", ...roleChanged };
  if (groupUpdated) return { seq, sender, kind: "updated", ...groupUpdated };
  return { seq, sender };
}

/** Who is gone is told of no reactions as they stand; it sees each as it came. */
function expectedEntry(model: Model, user: string, entry: Entry, last: number): unknown {
  if (entry.kind === "message") {
    const message = messageAt(model, entry.seq, user, last);
    return membershipOf(model, user) ? message : { ...message, reactions: [] };
  }
  if (entry.kind === "edited" && isRedacted(model, entry.target))
    return { ...entry, body: "", contentType: "", mentions: [] };
  return entry;
}

/** The best that a client can make of pages of history alone. */
function foldPages(scenario: Scenario, user: string, events: ConversationEvent[]) {
  const view = createView(user, scenario.id);
  for (const event of events) learn(view, event);
  return messagesOf(view);
}

async function compareFresh(scenario: Scenario, wire: Wire): Promise<void> {
  const { model, id: conversationId } = scenario;
  const { user } = wire;
  const range = rangeOf(model, user);
  const membership = membershipOf(model, user);
  const got = await wire.ask({ $case: "getConversation", value: { conversationId } });
  assert.equal(codeOf(got), membership ? "OK" : "NOT_FOUND");
  const history = await wire.ask({ $case: "getHistory", value: { conversationId } });
  assert.equal(codeOf(history), range ? "OK" : "NOT_FOUND");
  if (!range) return;
  const events = await readAll(wire, scenario, 0);
  const log = model.log.slice(range.first - 1, range.last);
  assert.deepEqual(
    events.map(toEntry),
    log.map((entry) => expectedEntry(model, user, entry, range.last)),
    `the history of ${user}`,
  );
  assert.deepEqual(
    foldPages(scenario, user, events),
    messagesBetween(model, user, range.first, range.last),
    `messages in the history of ${user}`,
  );
  if (!membership) return;
  const told = got.getConversation?.conversation as Conversation;
  assert.deepEqual(standingOfServer(told), standing(model, user), `how it stands for ${user}`);
  await compareMembers(scenario, wire);
  await compareReceipts(scenario, wire, range.first);
}

async function compareMembers(scenario: Scenario, wire: Wire): Promise<void> {
  const { model, id: conversationId } = scenario;
  const members: [string, number][] = [];
  let page = "";
  do {
    const value = { conversationId, page, limit: 1 + scenario.random(4) };
    const { listMembers } = await does(wire, { $case: "listMembers", value });
    for (const { user, role } of listMembers?.members ?? []) members.push([user, role]);
    page = listMembers?.nextPage ?? "";
    scenario.commands++;
  } while (page);
  assert.deepEqual(
    members,
    membersOf(model).map((user) => [user, model.members.get(user)?.role]),
  );
}

async function compareReceipts(scenario: Scenario, wire: Wire, first: number): Promise<void> {
  const { model, id: conversationId } = scenario;
  const seq = first + scenario.random(lastSeq(model) - first + 1);
  const { getReceipts } = await does(wire, {
    $case: "getReceipts",
    value: { conversationId, seq },
  });
  const { delivered, read } = receiptsOf(model, seq);
  assert.deepEqual(getReceipts, { deliveredCount: delivered, readCount: read }, `who has ${seq}`);
  scenario.commands += 2;
}

/** Everybody has the newest number: all views are equal to the model's, and to a fresh read. */
async function compareAll(scenario: Scenario): Promise<void> {
  await Promise.all(scenario.devices.map((device) => device.connecting));
  if (scenario.failure) throw scenario.failure;
  for (const device of readyDevices(scenario)) {
    await compareView(scenario, device);
    await compareKept(scenario, device);
  }
  for (const user of scenario.users) {
    const { wire } = readyDevices(scenario, user)[0] ?? {};
    if (wire) await compareFresh(scenario, wire);
  }
  for (const entry of scenario.model.log)
    if (entry.kind === "redacted") scenario.emptied.add(entry.target);
  if (scenario.failure) throw scenario.failure;
}

// ---- the whole -------------------------------------------------------------------------------------

async function begin(seed: number): Promise<Scenario> {
  const random = randomOf(seed);
  const users = Array.from({ length: 6 }, (_, i) => freshUser(`u${i}`)).sort();
  const isDirect = random(8) === 0;
  const fields = {
    isDirect,
    title: isDirect ? "" : "title 0",
    announcement: !isDirect && random(6) === 0,
    fullHistory: !isDirect && random(2) === 0,
  };
  const [creator, ...others] = users as [string, ...string[]];
  const first = isDirect ? others.slice(0, 1) : others.slice(0, 1 + random(4));
  const wire = await connect(creator, { device: "begins" });
  const id = isDirect
    ? await openDirect(wire, first[0] as string)
    : await createGroup(wire, first, fields);
  await wire.close();
  const devices = users.flatMap((user, i) =>
    Array.from({ length: 1 + random(2) }, (_, j) => ({
      user,
      name: `u${i}-${j}`,
      view: createView(user, id),
      wire: undefined,
      connecting: undefined,
    })),
  );
  return {
    ...{
      seed,
      random,
      id,
      users,
      devices,
      story: [],
      failure: undefined,
      sends: [],
      emptied: new Set(),
      commands: 0,
    },
    model: createModel(creator, first, fields),
    slowestMs: 0,
  };
}

/** A group whose owner is alone can do nothing more: then somebody is added first. */
async function revive(scenario: Scenario): Promise<void> {
  const [alone, another] = membersOf(scenario.model);
  if (!alone || another || membershipOf(scenario.model, alone)?.role !== OWNER) return;
  const device = readyDevices(scenario, alone)[0];
  if (!device) return;
  const act: Act = { kind: "add", users: scenario.users.slice(0, 4) };
  scenario.story.push(tell({ device, act }));
  const reply = await (device.wire as Wire).ask(toCommand(scenario.id, act));
  follow(scenario, [{ device, act, reply }]);
}

async function step(scenario: Scenario): Promise<void> {
  const { random } = scenario;
  const kind = random(20);
  if (kind < 3) await shuffle(scenario);
  else if (kind < 4) await pagePast(scenario, pick(scenario, readyDevices(scenario)));
  else if (readyDevices(scenario).length > 0)
    await burst(scenario, random(3) === 0 ? 2 + random(4) : 1);
  await revive(scenario);
  if (scenario.failure) throw scenario.failure;
}

/** Plays one seed; fails with what was done before. */
async function playing(
  seed: number,
  act: (scenario: Scenario) => Promise<void>,
): Promise<Scenario> {
  const scenario = await begin(seed);
  try {
    await Promise.all(scenario.devices.map((device) => connectDevice(scenario, device)));
    await act(scenario);
    return scenario;
  } catch (error) {
    const story = scenario.story.slice(-40).join("\n");
    const where = `SEED=${seed}, conversation ${scenario.id}`;
    throw new Error(`${where}\n${story}\n${(error as Error).stack}`, { cause: error });
  } finally {
    await Promise.all(scenario.devices.map(disconnectDevice));
  }
}

/** Everything at random, devices coming and going. */
export const play = (seed: number, steps = 90): Promise<Scenario> =>
  playing(seed, async (scenario) => {
    for (let i = 1; i <= steps; i++) {
      await step(scenario);
      if (i % 30 === 0) await compareAll(scenario);
    }
  });

/** What a client shows of its conversation from a number on. */
const shown = ({ view }: Device, from: number) => ({
  ...standingOfView({ ...view, from: Math.max(from, view.from) }, undefined),
  isMember: view.isMember,
  messages: messagesOf(view).filter(({ seq }) => seq >= Math.max(from, view.firstSeq)),
});

/** Each user has a device that stays and one that goes for a while; in the end they show the same. */
export const playAbsence = (seed: number): Promise<Scenario> =>
  playing(seed, async (scenario) => {
    const acts = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await burst(scenario, scenario.random(3) === 0 ? 3 : 1);
        await revive(scenario);
      }
    };
    const away = scenario.users.map((user, i): Device => {
      const view = createView(user, scenario.id);
      return { user, name: `u${i}-away`, view, wire: undefined, connecting: undefined };
    });
    scenario.devices.push(...away);
    await Promise.all(away.map((device) => connectDevice(scenario, device)));
    await acts(15);
    await Promise.all(away.map(disconnectDevice));
    await acts(25);
    await Promise.all(away.map((device) => connectDevice(scenario, device)));
    await compareAll(scenario);
    for (const device of away) {
      const stayed = readyDevices(scenario, device.user)[0] as Device;
      // Who became a member meanwhile had no cursor to return with, and so has no past here.
      const { from } = device.view;
      // Who is out may know or not of what was redacted since: compareAll has looked at that.
      if (stayed.view.isMember)
        assert.deepEqual(shown(device, from), shown(stayed, from), device.name);
      assert.equal(device.view.isMember, stayed.view.isMember);
    }
  });
