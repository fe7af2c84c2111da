import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { freshUser, until } from "./support.ts";
import {
  type Command,
  closeWires,
  codeOf,
  connect,
  createGroup,
  does,
  openDirect,
  say,
  textBytes,
  uuid,
  type Wire,
} from "./wire.ts";

after(closeWires);

const documentText = readFileSync("docs/permissions.md", "utf8");
const frames = readFileSync("proto/martlet/v1/frame.proto", "utf8");

/** The commands of ClientFrame. */
const commands = [
  ...(/oneof command \{([\s\S]*?)\n {2}\}/.exec(frames)?.[1] ?? "").matchAll(
    /^ {4}(\w+) \w+ = \d+;/gm,
  ),
].map(([, name]) => name as string);

interface Table {
  columns: string[];
  rows: { command: string; cells: string[] }[];
}

/** The table under a heading. */
function readTable(heading: string): Table {
  const section = documentText.split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const lines = section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  const [[, ...columns] = [], , ...rows] = lines;
  return { columns, rows: rows.map(([command = "", ...cells]) => ({ command, cells })) };
}

const tables = {
  group: readTable("In a group"),
  announcement: readTable("In an announcement group"),
  direct: readTable("In a direct conversation"),
};

const codeOfWord: Record<string, string> = {
  yes: "OK",
  "not there": "NOT_FOUND",
  denied: "PERMISSION_DENIED",
  never: "FAILED_PRECONDITION",
  taken: "ALREADY_EXISTS",
};

/**
 * A session types where it has a seat: a member's once it has the conversation, a former member's until it has
 * heard of its going.
 */
async function hasHeard({ id, caller }: Place, column: string): Promise<void> {
  const isFormer = column === "former";
  if (column === "stranger") return;
  await until(`${column} has heard of its membership`, () =>
    caller.items.some(({ event, conversationLeft }) =>
      isFormer ? conversationLeft?.conversationId === id : event?.conversationId === id,
    ),
  );
}

/** A conversation of its own for one cell: others' commands change nothing here. */
interface Place {
  id: string;
  caller: Wire;
  /** A second owner, an admin, a member; in a direct conversation all the same one, the other. */
  owner: Wire;
  admin: Wire;
  member: Wire;
  /** Messages by their senders. */
  seqs: { caller: number; owner: number; member: number };
}

const users = new Map<string, Wire>();

/** One session for each name: the conversations differ. */
async function wireOf(name: string): Promise<Wire> {
  const known = users.get(name) ?? (await connect(freshUser(name)));
  users.set(name, known);
  return known;
}

const setRole = (wire: Wire, conversationId: string, user: string, role: 1 | 2 | 3) =>
  does(wire, { $case: "setRole", value: { conversationId, user, role } });

async function prepareGroup(column: string, isAnnouncement: boolean): Promise<Place> {
  const caller = await wireOf("caller");
  const [owner, admin, member] = await Promise.all(["owner", "admin", "member"].map(wireOf));
  if (!owner || !admin || !member) throw new Error("nobody is there");
  const others = [owner, admin, member].map(({ user }) => user);
  // The caller began it if it is the owner: that is what makes a repeated CreateGroup free.
  const first = column === "owner" ? caller : owner;
  const isIn = column !== "stranger";
  const id = await createGroup(first, isIn ? [caller.user, ...others] : others);
  await setRole(first, id, owner.user, 3);
  await setRole(first, id, admin.user, 2);
  const seqs = {
    caller: isIn ? await say(caller, id, "of the caller") : 0,
    owner: await say(owner, id, "of an owner"),
    member: await say(member, id, "of a member"),
  };
  if (isIn)
    await does(caller, {
      $case: "react",
      value: { conversationId: id, seq: seqs.member, symbol: "there" },
    });
  if (column === "admin") await setRole(first, id, caller.user, 2);
  if (isAnnouncement)
    await does(first, {
      $case: "updateGroup",
      value: { conversationId: id, announcement: true },
    });
  if (column === "former") {
    // Its worker hears of both by the bus, and until then believes the one and not the other.
    await until("the caller has joined", () =>
      caller.items.some((item) => item.conversationJoined?.conversation?.id === id),
    );
    await does(owner, {
      $case: "removeMember",
      value: { conversationId: id, user: caller.user },
    });
    await until("the caller has left", () =>
      caller.items.some((item) => item.conversationLeft?.conversationId === id),
    );
  }
  return { id, caller, owner, admin, member, seqs };
}

async function prepareDirect(column: string): Promise<Place> {
  // Two users have one direct conversation: each cell gets users of its own.
  const first = await connect(freshUser("first"));
  const other = await connect(freshUser("other"));
  const caller = column === "member" ? first : await wireOf("caller");
  const id = await openDirect(first, other.user);
  const seqs = {
    caller: await say(first, id, "of the caller"),
    owner: 0,
    member: await say(other, id, "of the other"),
  };
  await does(first, {
    $case: "react",
    value: { conversationId: id, seq: seqs.member, symbol: "there" },
  });
  return { id, caller, owner: other, admin: other, member: other, seqs };
}

/** What a row tries, by its name. */
const attempts: Record<string, (place: Place) => Command> = {
  SendMessage: ({ id: conversationId }) => ({
    $case: "sendMessage",
    value: { conversationId, clientMessageId: uuid(), body: textBytes("hello") },
  }),
  "EditMessage, own": (place) => edit(place, place.seqs.caller),
  "EditMessage, another's": (place) => edit(place, place.seqs.member),
  "RedactMessage, own": (place) => redact(place, place.seqs.caller),
  "RedactMessage, another's": (place) => redact(place, place.seqs.member),
  "RedactMessage, a member's": (place) => redact(place, place.seqs.member),
  "RedactMessage, an owner's": (place) => redact(place, place.seqs.owner),
  React: ({ id: conversationId, seqs: { member: seq } }) => ({
    $case: "react",
    value: { conversationId, seq, symbol: "new" },
  }),
  Unreact: ({ id: conversationId, seqs: { member: seq } }) => ({
    $case: "unreact",
    value: { conversationId, seq, symbol: "there" },
  }),
  GetHistory: ({ id: conversationId }) => ({ $case: "getHistory", value: { conversationId } }),
  GetConversation: ({ id: conversationId }) => ({
    $case: "getConversation",
    value: { conversationId },
  }),
  ListMembers: ({ id: conversationId }) => ({ $case: "listMembers", value: { conversationId } }),
  MarkDelivered: ({ id: conversationId }) => ({
    $case: "markDelivered",
    value: { conversationId, seq: 1 },
  }),
  MarkRead: ({ id: conversationId }) => ({ $case: "markRead", value: { conversationId, seq: 1 } }),
  GetReceipts: ({ id: conversationId }) => ({
    $case: "getReceipts",
    value: { conversationId, seq: 1 },
  }),
  OpenDirect: ({ member: { user } }) => ({ $case: "openDirect", value: { user } }),
  "CreateGroup, with its id": ({ id: conversationId }) => ({
    $case: "createGroup",
    value: { conversationId, title: "Mine" },
  }),
  "UpdateGroup, title": ({ id: conversationId }) => ({
    $case: "updateGroup",
    value: { conversationId, title: "New" },
  }),
  "UpdateGroup, announcement": ({ id: conversationId }) => ({
    $case: "updateGroup",
    value: { conversationId, announcement: true },
  }),
  "UpdateGroup, full_history": ({ id: conversationId }) => ({
    $case: "updateGroup",
    value: { conversationId, fullHistory: true },
  }),
  AddMembers: ({ id: conversationId }) => ({
    $case: "addMembers",
    value: { conversationId, users: [freshUser("new")] },
  }),
  "RemoveMember, a member": (place) => remove(place, place.member),
  "RemoveMember, an admin": (place) => remove(place, place.admin),
  "RemoveMember, an owner": (place) => remove(place, place.owner),
  "RemoveMember, the other": (place) => remove(place, place.member),
  Leave: ({ id: conversationId }) => ({ $case: "leave", value: { conversationId } }),
  "SetRole, of a member": (place) => give(place, place.member),
  "SetRole, of an owner": (place) => give(place, place.owner),
  "SetRole, of the other": (place) => give(place, place.member),
  SetMute: ({ id: conversationId }) => ({
    $case: "setMute",
    value: { conversationId, untilMs: 0 },
  }),
  SetTyping: ({ id: conversationId }) => ({
    $case: "setTyping",
    value: { conversationId, typing: true },
  }),
};

function edit({ id: conversationId }: Place, seq: number): Command {
  // A stranger has no message of its own: any number will do.
  return { $case: "editMessage", value: { conversationId, seq: seq || 2, body: textBytes("x") } };
}

function redact({ id: conversationId }: Place, seq: number): Command {
  return { $case: "redactMessage", value: { conversationId, seq: seq || 2 } };
}

function remove({ id: conversationId }: Place, { user }: Wire): Command {
  return { $case: "removeMember", value: { conversationId, user } };
}

function give({ id: conversationId }: Place, { user }: Wire): Command {
  return { $case: "setRole", value: { conversationId, user, role: 2 } };
}

describe("docs/permissions.md", () => {
  it("names every command of ClientFrame", () => {
    const rest = documentText.split("## Touching no conversation\n")[1] ?? "";
    const named = new Set([
      ...Object.values(tables).flatMap(({ rows }) =>
        rows.map(({ command }) => command.split(",")[0] ?? ""),
      ),
      ...rest.split(/\W+/),
    ]);
    assert.ok(commands.length >= 30);
    assert.deepEqual(
      commands.filter((command) => !named.has(command)),
      [],
    );
  });

  for (const [where, { columns, rows }] of Object.entries(tables))
    for (const { command, cells } of rows)
      it(`${where}: ${command}: ${cells.join(" | ")}`, async () => {
        const attempt = attempts[command];
        assert.ok(attempt, `the test does not know the row ${command}`);
        assert.equal(cells.length, columns.length);
        for (const [i, column] of columns.entries()) {
          const expected = codeOfWord[cells[i]?.split(",")[0] ?? ""];
          assert.ok(expected, `${column}: no word of the document: ${cells[i]}`);
          const place =
            where === "direct"
              ? await prepareDirect(column)
              : await prepareGroup(column, where === "announcement");
          if (command === "SetTyping") await hasHeard(place, column);
          const reply = await place.caller.ask(attempt(place));
          assert.equal(codeOf(reply), expected, `${column}: ${reply.error?.message ?? ""}`);
        }
      });
});
