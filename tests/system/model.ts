/**
 * A conversation as proto/martlet/v1 describes it, in memory: who may do what, the log, who sees which part of
 * it, how far members have it. It is what the server is compared with, so it is written from the
 * documents, knows nothing of SQL, and prefers reading everything again to keeping counts.
 */
export const MEMBER = 1;
export const ADMIN = 2;
export const OWNER = 3;

/** What a user does, without its conversation. */
export type Act =
  | {
      kind: "send";
      id: string;
      body: string;
      contentType: string;
      mentions: string[];
      replyTo: number;
    }
  | { kind: "edit"; seq: number; body: string; contentType: string; mentions: string[] }
  | { kind: "redact"; seq: number }
  | { kind: "react" | "unreact"; seq: number; symbol: string }
  | { kind: "delivered" | "read"; seq: number }
  | { kind: "add"; users: string[] }
  | { kind: "remove"; user: string }
  | { kind: "leave" }
  | { kind: "role"; user: string; role: number }
  | { kind: "title"; title: string }
  | { kind: "announcement" | "fullHistory"; isOn: boolean }
  | { kind: "mute"; until: number };

/** An entry of the log. */
export type Entry = { seq: number; sender: string } & (
  | {
      kind: "created";
      title: string;
      members: string[];
      announcement: boolean;
      fullHistory: boolean;
    }
  | {
      kind: "message";
      id: string;
      body: string;
      contentType: string;
      mentions: string[];
      replyTo: number;
    }
  | { kind: "edited"; target: number; body: string; contentType: string; mentions: string[] }
  | { kind: "redacted"; target: number }
  | { kind: "reaction"; target: number; symbol: string; added: boolean }
  | { kind: "added"; users: string[] }
  | { kind: "removed"; user: string }
  | { kind: "role"; user: string; role: number }
  | { kind: "updated"; title: string; announcement: boolean; fullHistory: boolean }
);

export interface Outcome {
  code: string;
  /** The event's number; 0 if nothing changed. */
  seq: number;
  duplicate?: boolean;
}

export interface Membership {
  role: number;
  firstSeq: number;
  /** The last number that it may see; undefined while it is a member. */
  leftSeq: number | undefined;
  delivered: number;
  read: number;
  mutedUntil: number;
}

export interface Model {
  readonly isDirect: boolean;
  title: string;
  announcement: boolean;
  fullHistory: boolean;
  readonly log: Entry[];
  /** All who are or were members. */
  readonly members: Map<string, Membership>;
}

/** How a message stands for somebody at some number of the log. */
export interface Message {
  seq: number;
  sender: string;
  id: string;
  body: string;
  contentType: string;
  mentions: string[];
  replyTo: number;
  editedSeq: number;
  redacted: boolean;
  reactions: { symbol: string; count: number; mine: boolean }[];
}

const forEver = 253402300799999;

export function createModel(
  creator: string,
  members: string[],
  fields: { isDirect?: boolean; title?: string; announcement?: boolean; fullHistory?: boolean },
): Model {
  const { isDirect = false, title = "", announcement = false, fullHistory = false } = fields;
  const all = [...new Set([creator, ...members])].sort();
  const made: Membership = {
    role: MEMBER,
    firstSeq: 1,
    leftSeq: undefined,
    delivered: 0,
    read: 0,
    mutedUntil: 0,
  };
  const roleOf = (user: string) => (user === creator && !isDirect ? OWNER : MEMBER);
  return {
    isDirect,
    title,
    announcement,
    fullHistory,
    log: [
      { seq: 1, sender: creator, kind: "created", title, members: all, announcement, fullHistory },
    ],
    members: new Map(all.map((user) => [user, { ...made, role: roleOf(user) }])),
  };
}

export const copyOf = (model: Model): Model => structuredClone(model);

export const lastSeq = (model: Model): number => model.log.length;

/** Who is a member now, in order of id. */
export const membersOf = (model: Model): string[] =>
  [...model.members]
    .filter(([, { leftSeq }]) => leftSeq === undefined)
    .map(([user]) => user)
    .sort();

export function membershipOf(model: Model, user: string): Membership | undefined {
  const membership = model.members.get(user);
  return membership && membership.leftSeq === undefined ? membership : undefined;
}

const ownersOf = (model: Model) =>
  membersOf(model).filter((user) => model.members.get(user)?.role === OWNER);

export const isRedacted = (model: Model, seq: number, upto = lastSeq(model)): boolean =>
  model.log.some((e) => e.kind === "redacted" && e.target === seq && e.seq <= upto);

/** What `user` may see now: from its first number on, up to its going. Undefined: nothing at all. */
export function rangeOf(model: Model, user: string): { first: number; last: number } | undefined {
  const membership = model.members.get(user);
  if (!membership) return undefined;
  return { first: membership.firstSeq, last: membership.leftSeq ?? lastSeq(model) };
}

/** A message as it stood at number `upto`, without what was redacted until now. */
export function messageAt(model: Model, seq: number, user: string, upto: number): Message {
  const sent = model.log[seq - 1];
  if (sent?.kind !== "message") throw new Error(`${seq} is no message`);
  const changes = model.log.filter(
    (e) => "target" in e && e.target === seq && e.seq <= upto && e.kind !== "redacted",
  );
  const edit = changes.filter((e) => e.kind === "edited").at(-1);
  const content = edit?.kind === "edited" ? edit : sent;
  const redacted = isRedacted(model, seq);
  const symbols = new Map<string, Set<string>>();
  for (const e of changes) {
    if (e.kind !== "reaction") continue;
    const users = symbols.get(e.symbol) ?? new Set();
    if (e.added) users.add(e.sender);
    else users.delete(e.sender);
    symbols.set(e.symbol, users);
  }
  return {
    seq,
    sender: sent.sender,
    id: sent.id,
    replyTo: sent.replyTo,
    body: redacted ? "" : content.body,
    contentType: redacted ? "" : content.contentType,
    mentions: redacted ? [] : content.mentions,
    editedSeq: redacted ? 0 : (edit?.seq ?? 0),
    redacted,
    reactions: redacted
      ? []
      : [...symbols]
          .filter(([, users]) => users.size > 0)
          .map(([symbol, users]) => ({ symbol, count: users.size, mine: users.has(user) }))
          .sort((a, b) => Buffer.compare(Buffer.from(a.symbol), Buffer.from(b.symbol))),
  };
}

/** Messages of others after what was read, from the first that the user may see on, that are not redacted. */
export function unreadOf(model: Model, user: string): number {
  const membership = membershipOf(model, user);
  if (!membership) return 0;
  const after = Math.max(membership.read, membership.firstSeq - 1);
  return model.log.filter(
    (e) => e.kind === "message" && e.seq > after && e.sender !== user && !isRedacted(model, e.seq),
  ).length;
}

/** How many members have an event, its sender aside: who cannot see it does not have it. */
export function receiptsOf(model: Model, seq: number): { delivered: number; read: number } {
  const others = membersOf(model)
    .filter((user) => user !== model.log[seq - 1]?.sender)
    .map((user) => model.members.get(user) as Membership)
    .filter((membership) => membership.firstSeq <= seq);
  return {
    delivered: others.filter((m) => m.delivered >= seq).length,
    read: others.filter((m) => m.read >= seq).length,
  };
}

type Without<T> = T extends unknown ? Omit<T, "seq" | "sender"> : never;

function append(model: Model, sender: string, entry: Without<Entry>): Outcome {
  const seq = lastSeq(model) + 1;
  model.log.push({ ...entry, seq, sender } as Entry);
  return { code: "OK", seq };
}

const refuse = (code: string): Outcome => ({ code, seq: 0 });
const nothing: Outcome = { code: "OK", seq: 0 };
const same = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b);

/** A message that this member may see, to change it. */
function visible(model: Model, seq: number, membership: Membership) {
  const entry = model.log[seq - 1];
  return entry?.kind === "message" && seq >= membership.firstSeq ? entry : undefined;
}

function send(model: Model, user: string, act: Extract<Act, { kind: "send" }>): Outcome {
  const membership = membershipOf(model, user);
  if (!membership) return refuse("NOT_FOUND");
  const before = model.log.find(
    (e) => e.kind === "message" && e.sender === user && e.id === act.id,
  );
  if (before) return { code: "OK", seq: before.seq, duplicate: true };
  if (act.replyTo > lastSeq(model)) return refuse("INVALID_ARGUMENT");
  if (model.announcement && membership.role < ADMIN) return refuse("PERMISSION_DENIED");
  const { id, body, contentType, mentions, replyTo } = act;
  return append(model, user, { kind: "message", id, body, contentType, mentions, replyTo });
}

function edit(model: Model, user: string, act: Extract<Act, { kind: "edit" }>): Outcome {
  const membership = membershipOf(model, user);
  const message = membership && visible(model, act.seq, membership);
  if (!membership || !message) return refuse("NOT_FOUND");
  if (message.sender !== user) return refuse("PERMISSION_DENIED");
  if (isRedacted(model, act.seq)) return refuse("FAILED_PRECONDITION");
  const content = (e: { body: string; contentType: string; mentions: string[] }) => [
    e.body,
    e.contentType,
    e.mentions,
  ];
  if (same(content(messageAt(model, act.seq, user, lastSeq(model))), content(act))) return nothing;
  if (model.announcement && membership.role < ADMIN) return refuse("PERMISSION_DENIED");
  const { body, contentType, mentions } = act;
  return append(model, user, { kind: "edited", target: act.seq, body, contentType, mentions });
}

function redact(model: Model, user: string, seq: number): Outcome {
  const membership = membershipOf(model, user);
  const message = membership && visible(model, seq, membership);
  if (!membership || !message) return refuse("NOT_FOUND");
  if (message.sender !== user && (model.isDirect || membership.role < ADMIN))
    return refuse("PERMISSION_DENIED");
  if (isRedacted(model, seq)) return nothing;
  return append(model, user, { kind: "redacted", target: seq });
}

function react(model: Model, user: string, seq: number, symbol: string, added: boolean): Outcome {
  const membership = membershipOf(model, user);
  if (!membership || !visible(model, seq, membership)) return refuse("NOT_FOUND");
  const now = messageAt(model, seq, user, lastSeq(model)).reactions;
  if (now.some((r) => r.symbol === symbol && r.mine) === added) return nothing;
  if (isRedacted(model, seq)) return refuse("FAILED_PRECONDITION");
  return append(model, user, { kind: "reaction", target: seq, symbol, added });
}

function mark(model: Model, user: string, seq: number, isRead: boolean): Outcome {
  const membership = membershipOf(model, user);
  if (!membership) return refuse("NOT_FOUND");
  if (seq > lastSeq(model)) return refuse("INVALID_ARGUMENT");
  membership.delivered = Math.max(membership.delivered, seq);
  if (isRead) membership.read = Math.max(membership.read, seq);
  return nothing;
}

function add(model: Model, user: string, users: string[]): Outcome {
  const membership = membershipOf(model, user);
  if (!membership) return refuse("NOT_FOUND");
  if (model.isDirect) return refuse("FAILED_PRECONDITION");
  if (membership.role < ADMIN) return refuse("PERMISSION_DENIED");
  const added = [...new Set(users)].filter((one) => !membershipOf(model, one)).sort();
  if (added.length === 0) return nothing;
  const outcome = append(model, user, { kind: "added", users: added });
  for (const one of added)
    model.members.set(one, {
      role: MEMBER,
      firstSeq: model.fullHistory ? 1 : outcome.seq,
      leftSeq: undefined,
      delivered: outcome.seq - 1,
      read: outcome.seq - 1,
      mutedUntil: 0,
    });
  return outcome;
}

function end(model: Model, user: string, target: string): Outcome {
  const membership = membershipOf(model, target);
  if (!membership) return nothing;
  if (membership.role === OWNER && membersOf(model).length > 1 && ownersOf(model).length === 1)
    return refuse("FAILED_PRECONDITION");
  const outcome = append(model, user, { kind: "removed", user: target });
  membership.leftSeq = outcome.seq;
  membership.role = MEMBER;
  return outcome;
}

function remove(model: Model, user: string, target: string): Outcome {
  const membership = membershipOf(model, user);
  if (user === target) return refuse("INVALID_ARGUMENT");
  if (!membership) return refuse("NOT_FOUND");
  if (model.isDirect) return refuse("FAILED_PRECONDITION");
  const role = membershipOf(model, target)?.role ?? MEMBER;
  if (membership.role < OWNER && !(membership.role === ADMIN && role === MEMBER))
    return refuse("PERMISSION_DENIED");
  if (!model.members.has(target)) return refuse("NOT_FOUND");
  return end(model, user, target);
}

/** Repeating it is free, for who has left too. */
function leave(model: Model, user: string): Outcome {
  if (!model.members.has(user)) return refuse("NOT_FOUND");
  if (model.isDirect) return refuse("FAILED_PRECONDITION");
  return end(model, user, user);
}

function setRole(model: Model, user: string, target: string, role: number): Outcome {
  const membership = membershipOf(model, user);
  if (!membership) return refuse("NOT_FOUND");
  if (model.isDirect) return refuse("FAILED_PRECONDITION");
  if (membership.role < OWNER) return refuse("PERMISSION_DENIED");
  const other = membershipOf(model, target);
  if (!other) return refuse("NOT_FOUND");
  if (other.role === role) return nothing;
  if (other.role === OWNER && ownersOf(model).length === 1) return refuse("FAILED_PRECONDITION");
  other.role = role;
  return append(model, user, { kind: "role", user: target, role });
}

function update(model: Model, user: string, change: Partial<Model>): Outcome {
  const membership = membershipOf(model, user);
  if (!membership) return refuse("NOT_FOUND");
  if (model.isDirect) return refuse("FAILED_PRECONDITION");
  if (membership.role < ADMIN) return refuse("PERMISSION_DENIED");
  const { title, announcement, fullHistory } = { ...model, ...change };
  const before = [model.title, model.announcement, model.fullHistory];
  if (same(before, [title, announcement, fullHistory])) return nothing;
  Object.assign(model, change);
  return append(model, user, { kind: "updated", title, announcement, fullHistory });
}

function mute(model: Model, user: string, until: number): Outcome {
  const membership = membershipOf(model, user);
  if (!membership) return refuse("NOT_FOUND");
  membership.mutedUntil = Math.min(until, forEver);
  return nothing;
}

/** Does it, if it is allowed, and says how it ends. */
export function perform(model: Model, user: string, act: Act): Outcome {
  switch (act.kind) {
    case "send":
      return send(model, user, act);
    case "edit":
      return edit(model, user, act);
    case "redact":
      return redact(model, user, act.seq);
    case "react":
    case "unreact":
      return react(model, user, act.seq, act.symbol, act.kind === "react");
    case "delivered":
    case "read":
      return mark(model, user, act.seq, act.kind === "read");
    case "add":
      return add(model, user, act.users);
    case "remove":
      return remove(model, user, act.user);
    case "leave":
      return leave(model, user);
    case "role":
      return setRole(model, user, act.user, act.role);
    case "title":
      return update(model, user, { title: act.title });
    case "announcement":
      return update(model, user, { announcement: act.isOn });
    case "fullHistory":
      return update(model, user, { fullHistory: act.isOn });
    case "mute":
      return mute(model, user, act.until);
  }
}
