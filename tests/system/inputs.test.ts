import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { freshUser, raw, token, until } from "./support.ts";
import {
  closeWires,
  codeOf,
  connect,
  createGroup,
  does,
  type Reply,
  say,
  textBytes,
  uuid,
  type Wire,
} from "./wire.ts";

after(closeWires);

// ---- the specification -----------------------------------------------------------------------------

interface Field {
  name: string;
  type: string;
  number: number;
}

const protos = readdirSync("proto/martlet/v1").map((name) =>
  readFileSync(`proto/martlet/v1/${name}`, "utf8"),
);

/** The fields of each message, those of its oneofs among them. */
const messages = new Map<string, Field[]>(
  protos.flatMap((text) =>
    [...text.matchAll(/^message (\w+) \{(\}|[\s\S]*?^\})/gm)].map(([, name = "", body = ""]) => [
      name,
      [...body.matchAll(/^ +(?:repeated )?([\w.]+) (\w+) = (\d+);/gm)].map(
        ([, type = "", field = "", number]) => ({ type, name: field, number: Number(number) }),
      ),
    ]),
  ),
);

const commands = (messages.get("ClientFrame") ?? []).filter(({ name }) => name !== "request_id");

// ---- bytes -----------------------------------------------------------------------------------------

/** A number is a varint, the rest has its length before it; a list is a repeated field. */
type Value =
  | number
  | bigint
  | string
  | Uint8Array
  | (number | bigint | string | Uint8Array)[]
  | undefined;
type Values = Record<string, Value>;

function varint(value: number | bigint): number[] {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

function field(number: number, value: Value): number[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap((one) => field(number, one));
  if (typeof value === "number" || typeof value === "bigint")
    return [...varint(number * 8), ...varint(value)];
  const bytes = typeof value === "string" ? textBytes(value) : value;
  return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
}

function fieldsOf(command: Field): Field[] {
  const fields = messages.get(command.type);
  assert.ok(fields, `${command.type} is a message`);
  return fields;
}

function frame(requestId: number, command: Field, values: Values): Uint8Array {
  const inner = fieldsOf(command).flatMap(({ name, number }) => field(number, values[name]));
  return new Uint8Array([...field(1, requestId), ...field(command.number, new Uint8Array(inner))]);
}

let lastRequest = 1_000_000;

async function tryIt(wire: Wire, command: Field, values: Values): Promise<Reply> {
  const requestId = ++lastRequest;
  wire.send(frame(requestId, command, values));
  return until(
    `the answer to ${command.name}`,
    () => wire.items.find(({ reply }) => reply?.requestId === requestId)?.reply,
  );
}

// ---- what can be wrong -----------------------------------------------------------------------------

/** What is wrong, the value, the code, and the field if it is not the one that was changed. */
type Fault = [what: string, value: Value, code: string, field?: string];

const bytes = (...values: number[]) => new Uint8Array(values);
const invalid = "INVALID_ARGUMENT";

const badTexts: [string, Value][] = [
  ["a byte that is no UTF-8", bytes(0xff)],
  ["an overlong slash", bytes(0x61, 0xc0, 0xaf)],
  ["an overlong zero", bytes(0x61, 0xc0, 0x80)],
  ["half of a surrogate", bytes(0x61, 0xed, 0xa0, 0x80)],
  ["half of a character", bytes(0x61, 0xe2, 0x82)],
  ["a character above the last", bytes(0x61, 0xf4, 0x90, 0x80, 0x80)],
  ["a zero in it", "a\0b"],
  ["a zero at its end", "a\0"],
];

const invisible: [string, Value][] = [
  ["nothing", undefined],
  ["empty", ""],
  ["spaces", "   "],
  ["a zero-width space", "\u200b"],
  ["zero-width joiners", "\u200d\u200c\u2060\ufeff"],
  ["marks of direction", "\u200e\u200f\u202e"],
  ["a Hangul filler", "\u3164"],
  ["variation selectors", "\ufe0f\ufe0f"],
  ["tags", "\u{e0001}\u{e0061}"],
  ["a line feed", "a\nb"],
  ["delete", "a\u007f"],
];

const faulty = (list: [string, Value][]): Fault[] =>
  list.map(([what, value]) => [what, value, invalid]);

const badId: Fault[] = faulty([
  ["nothing", undefined],
  ["empty", ""],
  ["no UUID", "42"],
  ["one digit too many", `${uuid()}0`],
  ["one digit too few", uuid().slice(1)],
  ["braces", `{${uuid()}}`],
  ["no hyphens", uuid().replaceAll("-", "")],
  ["all zeros", "00000000-0000-0000-0000-000000000000"],
  ["a zero after it", `${uuid()}\0`],
  ["no UTF-8", bytes(0xff, 0xfe)],
  ["very long", "0".repeat(10_000)],
]);

const badUser: Fault[] = faulty([
  ["nothing", undefined],
  ["empty", ""],
  ["one byte too long", "u".repeat(65)],
  ["a space", "a b"],
  ["a slash", "a/b"],
  ["a wildcard", "a+"],
  ["a comma", "a,b"],
  ["an umlaut", "ä"],
  ["a zero in it", "alice\0bob"],
  ["a line feed after it", "alice\n"],
  ["no UTF-8", bytes(0x61, 0xff)],
]);

const badSeq: Fault[] = faulty([
  ["nothing", undefined],
  ["0", 0],
  ["2^63", 2n ** 63n],
  ["2^64 - 1", 2n ** 64n - 1n],
]);

/** Of numbers that may be 0, or left out. */
const hugeSeq: Fault[] = faulty([
  ["2^63", 2n ** 63n],
  ["2^64 - 1", 2n ** 64n - 1n],
]);

const badTitle = faulty([...invisible, ...badTexts, ["one byte too long", "t".repeat(129)]]);
const badSymbol = faulty([...invisible, ...badTexts, ["one byte too long", "s".repeat(33)]]);
const badContentType = faulty([
  ["one byte too long", "t".repeat(65)],
  ["an umlaut", "text/plän"],
  ["a tab", "text/\tplain"],
  ["a zero in it", "text/plain\0"],
  ["no UTF-8", bytes(0x61, 0xff)],
]);
const badBody = faulty([
  ["nothing", undefined],
  ["empty", ""],
  ["one byte too long", new Uint8Array(16385)],
]);
const badPage = faulty([
  ["no page", "???"],
  ["no UTF-8", bytes(0xff)],
  ["a zero in it", "a\0"],
]);

/** Lists of users: one that is none is named by its place, but for a zero, which is found before it is a user. */
const badUsers = (name: string, most: number): Fault[] => [
  ["too many", Array.from({ length: most + 1 }, (_, i) => `u${i}`), invalid],
  ["an empty one", ["alice", ""], invalid, `${name}[1]`],
  ["one that is none", ["alice", "bob", "a b"], invalid, `${name}[2]`],
  ["one that is too long", ["u".repeat(65)], invalid, `${name}[0]`],
  ["one with a zero", ["alice\0"], invalid],
];
const noUsers: Fault[] = [["none", undefined, invalid]];

interface Row {
  /** What works, or what does at least no harm. */
  good: () => Values;
  /** By field; every field of the command's message stands here. */
  faults: Record<string, Fault[]>;
  /** That it is about one message: which must be one, and to be seen. */
  isOfMessage?: boolean;
}

let mine: Wire;
let id: string;
let message: number;
const inIt =
  (more: Values = {}) =>
  () => ({ conversation_id: id, ...more });
const ofMessage =
  (more: Values = {}) =>
  () => ({ conversation_id: id, seq: message, ...more });
const nothing: Fault[] = [];
const limit = (most: number): Fault[] => [
  ["too many", most + 1, invalid],
  ["2^32 - 1", 2n ** 32n - 1n, invalid],
];

const table: Record<string, Row> = {
  ping: { good: () => ({}), faults: {} },
  refresh_token: {
    good: () => ({ token: token(mine.user) }),
    faults: {
      token: [
        ["nothing", undefined, "UNAUTHENTICATED"],
        ["no token", "x.y.z", "UNAUTHENTICATED"],
        ["a zero in it", "x\0", invalid],
        ["very long", "x".repeat(60_000), "UNAUTHENTICATED"],
      ],
    },
  },
  send_message: {
    good: () => ({ conversation_id: id, client_message_id: uuid(), body: "hello" }),
    faults: {
      conversation_id: badId,
      client_message_id: badId,
      content_type: badContentType,
      body: badBody,
      reply_to_seq: [...hugeSeq, ["the future", 1_000_000, invalid]],
      mentions: badUsers("mentions", 50),
    },
  },
  edit_message: {
    isOfMessage: true,
    good: ofMessage({ body: "better" }),
    faults: {
      conversation_id: badId,
      seq: badSeq,
      content_type: badContentType,
      body: badBody,
      mentions: badUsers("mentions", 50),
    },
  },
  redact_message: {
    isOfMessage: true,
    good: ofMessage(),
    faults: { conversation_id: badId, seq: badSeq },
  },
  react: {
    isOfMessage: true,
    good: ofMessage({ symbol: "👍" }),
    faults: { conversation_id: badId, seq: badSeq, symbol: badSymbol },
  },
  unreact: {
    isOfMessage: true,
    good: ofMessage({ symbol: "👍" }),
    faults: { conversation_id: badId, seq: badSeq, symbol: badSymbol },
  },
  get_history: {
    good: inIt(),
    faults: {
      conversation_id: badId,
      before_seq: [["0", 0, invalid]],
      after_seq: nothing,
      limit: limit(100),
    },
  },
  list_conversations: {
    good: () => ({}),
    faults: {
      page: [
        ...badPage,
        ["a time without a conversation", "1/", invalid],
        ["a time before 1970", `-1/${uuid()}`, invalid],
        ["a time after all", `99999999999999999999/${uuid()}`, invalid],
      ],
      limit: limit(200),
    },
  },
  get_conversation: { good: inIt(), faults: { conversation_id: badId } },
  list_members: {
    good: inIt(),
    faults: { conversation_id: badId, page: badPage, limit: limit(200) },
  },
  mark_delivered: {
    good: inIt({ seq: 1 }),
    faults: { conversation_id: badId, seq: [...badSeq, ["the future", 1_000_000, invalid]] },
  },
  mark_read: {
    good: inIt({ seq: 1 }),
    faults: { conversation_id: badId, seq: [...badSeq, ["the future", 1_000_000, invalid]] },
  },
  get_receipts: {
    good: inIt({ seq: 1 }),
    faults: {
      conversation_id: badId,
      seq: [...badSeq, ["the future", 1_000_000, "NOT_FOUND", ""]],
    },
  },
  open_direct: {
    good: () => ({ user: freshUser("other") }),
    faults: { user: badUser },
  },
  create_group: {
    good: () => ({ conversation_id: uuid(), title: "Title" }),
    faults: {
      conversation_id: badId,
      title: badTitle,
      members: badUsers("members", 999),
      announcement: nothing,
      full_history: nothing,
    },
  },
  update_group: {
    good: inIt({ title: "Title" }),
    faults: {
      conversation_id: badId,
      // Left out it is no title at all, and so nothing to change.
      title: [["nothing", undefined, invalid, "change"], ...badTitle.slice(1)],
      announcement: nothing,
      full_history: nothing,
    },
  },
  add_members: {
    good: () => ({ conversation_id: id, users: [mine.user] }),
    faults: { conversation_id: badId, users: [...noUsers, ...badUsers("users", 100)] },
  },
  remove_member: {
    good: () => ({ conversation_id: id, user: "bob" }),
    faults: { conversation_id: badId, user: badUser },
  },
  leave: { good: inIt(), faults: { conversation_id: badId } },
  set_role: {
    good: () => ({ conversation_id: id, user: mine.user, role: 3 }),
    faults: {
      conversation_id: badId,
      user: badUser,
      role: [
        ["nothing", undefined, invalid],
        ["0", 0, invalid],
        ["4", 4, invalid],
        ["-1", -1n, invalid],
      ],
    },
  },
  set_mute: {
    good: inIt({ until_ms: 0 }),
    faults: { conversation_id: badId, until_ms: [["before 1970", -1n, invalid]] },
  },
  set_typing: {
    good: inIt({ typing: 1 }),
    faults: { conversation_id: badId, typing: nothing },
  },
  watch_presence: {
    good: () => ({ users: [mine.user] }),
    faults: { users: [...noUsers, ...badUsers("users", 100)] },
  },
  unwatch_presence: {
    good: () => ({ users: [mine.user] }),
    faults: { users: [...noUsers, ...badUsers("users", 100)] },
  },
  set_presence: {
    good: () => ({ status: 3 }),
    faults: {
      status: [
        ["nothing", undefined, invalid],
        ["offline", 1, invalid],
        ["4", 4, invalid],
      ],
    },
  },
  block_user: { good: () => ({ user: "mallory" }), faults: { user: badUser } },
  unblock_user: { good: () => ({ user: "mallory" }), faults: { user: badUser } },
  list_blocked: { good: () => ({}), faults: { page: badPage, limit: limit(200) } },
  list_notifications: { good: () => ({}), faults: { after_number: hugeSeq, limit: limit(100) } },
  ack_notifications: {
    good: () => ({ numbers: [1] }),
    faults: {
      numbers: [
        ["none", undefined, invalid],
        ["too many", Array.from({ length: 101 }, (_, i) => i + 1), invalid],
        ["a zero among them", [1, 0], invalid],
        ["2^63 among them", [1, 2n ** 63n], invalid],
      ],
    },
  },
  // A service's, over MQTT. Whatever is in it, a user is told no more than that.
  notify: {
    good: () => ({ id: "n", users: ["bob"], payload: textBytes("x") }),
    faults: {
      id: [["by a user", "n", "PERMISSION_DENIED", ""]],
      users: [["by a user", undefined, "PERMISSION_DENIED", ""]],
      kind: [],
      content_type: [],
      payload: [],
      expires_after_ms: [],
      collapse_key: [],
    },
  },
};

before(async () => {
  mine = await connect(freshUser("alice"));
  id = await createGroup(mine, []);
  message = await say(mine, id, "a message");
});

// ---- one by one ------------------------------------------------------------------------------------

describe("the table", () => {
  it("has every command of ClientFrame, and every field of it", () => {
    assert.ok(commands.length >= 30);
    for (const command of commands) {
      // Hello closes the connection instead: it has its own tests.
      if (command.name === "hello") continue;
      assert.ok(table[command.name], command.name);
      assert.deepEqual(
        Object.keys(table[command.name]?.faults ?? {}).sort(),
        fieldsOf(command)
          .map(({ name }) => name)
          .sort(),
        command.name,
      );
    }
  });
});

for (const command of commands) {
  const row = table[command.name];
  if (!row) continue;
  describe(command.name, () => {
    for (const [name, faults] of Object.entries(row.faults)) {
      if (faults.length === 0) continue;
      it(`with a wrong ${name} is refused, and says so: ${faults.map(([what]) => what).join(", ")}`, async () => {
        for (const [what, value, code, where = name] of faults) {
          const reply = await tryIt(mine, command, { ...row.good(), [name]: value });
          const expected = { code, field: code === "UNAUTHENTICATED" ? "token" : where };
          assert.deepEqual({ code: codeOf(reply), field: reply.error?.field }, expected, what);
          assert.notEqual(reply.error?.message, "", what);
          assert.equal(reply.error?.retryAfterMs, 0, what);
        }
      });
    }

    it("with a field of another kind, or bytes that do not end, closes the connection with 4000", async () => {
      const [first] = fieldsOf(command);
      const other: number[] = first
        ? [...varint(first.number * 8 + 5), 1, 2, 3, 4]
        : [...varint(1 * 8 + 6)];
      const inner = {
        "another kind": other,
        "a length beyond the end": [...varint(1 * 8 + 2), 100, 1],
        "a number without an end": [...varint(1 * 8), 255],
      };
      for (const [what, value] of Object.entries(inner)) {
        const one = await connect(mine.user, { device: "closed" });
        one.send(new Uint8Array([8, 7, ...field(command.number, new Uint8Array(value))]));
        await until(
          "an answer, or the end",
          () => !one.isOpen || one.items.some(({ reply }) => reply),
        );
        assert.ok(!one.isOpen, `${what} is answered`);
        assert.equal((await one.closed).code, 4000, what);
      }
    });

    if ("conversation_id" in row.faults && command.name !== "create_group")
      it("cannot tell what does not exist from what is another's", async () => {
        const other = await connect(freshUser("bob"));
        const theirs = await createGroup(other, []);
        await say(other, theirs, "a message");
        const replies = [];
        for (const conversation_id of [uuid(), theirs, theirs.toUpperCase()]) {
          const reply = await tryIt(mine, command, { ...row.good(), conversation_id });
          assert.equal(codeOf(reply), "NOT_FOUND");
          replies.push(reply.error);
        }
        assert.deepEqual(replies[1], replies[0]);
        assert.deepEqual(replies[2], replies[0]);
        await other.close();
      });

    if (row.isOfMessage)
      it("cannot tell a message that does not exist from one that came before the membership", async () => {
        const owner = await connect(freshUser("owner"));
        const theirs = await createGroup(owner, []);
        const early = await say(owner, theirs, "early");
        await does(owner, {
          $case: "addMembers",
          value: { conversationId: theirs, users: [mine.user] },
        });
        const late = await say(owner, theirs, "late");
        const replies = [];
        // One of the future, one before the membership, and one that is no message.
        for (const seq of [late + 1, early, late - 1]) {
          const reply = await tryIt(mine, command, {
            ...row.good(),
            conversation_id: theirs,
            seq,
          });
          assert.equal(codeOf(reply), "NOT_FOUND");
          replies.push(reply.error);
        }
        assert.deepEqual(replies[1], replies[0]);
        assert.deepEqual(replies[2], replies[0]);
        await owner.close();
      });
  });
}

describe("a Hello that is wrong", () => {
  const command = commands.find(({ name }) => name === "hello") as Field;
  const cursor = (values: Values) =>
    new Uint8Array(
      (messages.get("Cursor") ?? []).flatMap(({ name, number }) => field(number, values[name])),
    );
  const signed = token(freshUser("carol"));
  const faults: [string, Values, number][] = [
    ["no token", { token: undefined }, 4002],
    ["a token that is none", { token: "x" }, 4002],
    ["a token with a zero", { token: `${signed}\0` }, 4000],
    ["a very long token", { token: "x".repeat(60_000) }, 4002],
    ["no device", { device: undefined }, 4000],
    ["a device with a zero", { device: "a\0" }, 4000],
    ["a device that is too long", { device: "d".repeat(65) }, 4000],
    ["a client that is too long", { client: "c".repeat(65) }, 4000],
    ["a client that is no ASCII", { client: "é" }, 4000],
    ["a protocol of the future", { protocol_min: 2, protocol_max: 3 }, 4000],
    ["protocols the wrong way round", { protocol_min: 3, protocol_max: 1 }, 4000],
    ["a cursor without a conversation", { cursors: [cursor({ seq: 1 })] }, 4000],
    ["a cursor of no UUID", { cursors: [cursor({ conversation_id: "x" })] }, 4000],
    ["a cursor of 2^63", { cursors: [cursor({ conversation_id: uuid(), seq: 2n ** 63n })] }, 4000],
    [
      "too many cursors",
      { cursors: Array.from({ length: 501 }, () => cursor({ conversation_id: uuid() })) },
      4000,
    ],
  ];
  for (const [what, values, code] of faults)
    it(`${what}: is closed with ${code}`, async () => {
      const one = await raw();
      one.send(frame(1, command, { token: signed, device: "d", client: "c", ...values }));
      assert.equal((await one.closed).code, code);
    });
});

describe("what was refused", () => {
  it("changed nothing", async () => {
    const { getConversation } = await does(mine, {
      $case: "getConversation",
      value: { conversationId: id },
    });
    assert.equal(getConversation?.conversation?.lastSeq, message);
    assert.equal(getConversation?.conversation?.title, "A group");
  });
});
