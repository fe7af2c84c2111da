import { type Command, type Result, roleNumber, statusNumber } from "./codec.ts";
import { MartletError } from "./errors.ts";
import type {
  Conversation,
  HistoryPage,
  Mark,
  Member,
  Presence,
  PresenceStatus,
  Role,
  Settings,
} from "./model.ts";
import type { Outgoing } from "./outbox.ts";

/** The end of 9999, which is for ever. */
const forEverMs = 253402300799999;

export interface ContentOptions {
  readonly contentType?: string;
  readonly mentions?: readonly string[];
}

export interface GroupOptions {
  readonly announcement?: boolean;
  readonly fullHistory?: boolean;
  /** The group's id, a UUID: the same one again finds the group that began. Made here if it is not given. */
  readonly conversationId?: string;
}

export interface HistoryFrom {
  readonly before?: number;
  readonly after?: number;
  readonly limit?: number;
}

export interface ReceiptCounts {
  readonly deliveredCount: number;
  readonly readCount: number;
}

/**
 * What may be asked for while there is a connection; without one each rejects with CLOSED at once. All may be
 * repeated: what is so already changes nothing. Changes resolve with the number of the event that tells of
 * them, 0 if it was so already.
 */
export interface Commands {
  edit(
    id: string,
    seq: number,
    body: string | Uint8Array,
    options?: ContentOptions,
  ): Promise<number>;
  redact(id: string, seq: number): Promise<number>;
  react(id: string, seq: number, symbol: string): Promise<number>;
  unreact(id: string, seq: number, symbol: string): Promise<number>;

  getConversation(id: string): Promise<Conversation>;
  /** All of the user's conversations, the most recently active first. */
  conversations(): AsyncGenerator<Conversation>;
  /** In order of user. */
  members(id: string): AsyncGenerator<Member>;
  /** One page: before or after a number, or the newest. */
  history(id: string, from?: HistoryFrom): Promise<HistoryPage>;
  /** Page after page, as far as there are any: forwards with `after`, otherwise backwards. */
  historyPages(id: string, from?: HistoryFrom): AsyncGenerator<HistoryPage>;

  markDelivered(id: string, seq: number): Promise<Mark>;
  markRead(id: string, seq: number): Promise<Mark>;
  /** How many members have an event, its sender aside. */
  receipts(id: string, seq: number): Promise<ReceiptCounts>;

  openDirect(user: string): Promise<Conversation>;
  /** Asked again, with the same id, when the answer is late or the server cannot do it at the moment. */
  createGroup(
    title: string,
    members: readonly string[],
    options?: GroupOptions,
  ): Promise<Conversation>;
  updateGroup(id: string, change: Partial<Settings>): Promise<number>;
  addMembers(id: string, users: readonly string[]): Promise<number>;
  removeMember(id: string, user: string): Promise<number>;
  leave(id: string): Promise<number>;
  setRole(id: string, user: string, role: Role): Promise<number>;
  /** Until a time in milliseconds since 1970; 0 ends it, Infinity is for ever. */
  setMute(id: string, untilMs: number): Promise<void>;

  block(user: string): Promise<void>;
  unblock(user: string): Promise<void>;
  /** Whom the user has blocked, in order of id. */
  blocked(): AsyncGenerator<string>;
}

/** What the client itself asks for. */
export interface InnerCommands {
  send(message: Outgoing): Promise<{ seq: number; timeMs: number }>;
  watchPresence(users: readonly string[]): Promise<readonly Presence[]>;
  unwatchPresence(users: readonly string[]): Promise<void>;
  setPresence(status: PresenceStatus): Promise<void>;
}

export const toBytes = (body: string | Uint8Array): Uint8Array =>
  typeof body === "string" ? new TextEncoder().encode(body) : body;

/** How often a command that may be repeated is asked in all. */
const triesMost = 3;

export function createCommands(
  askServer: (command: Command) => Promise<Result>,
  wait: (delayMs: number) => Promise<void>,
): Commands & InnerCommands {
  type Value<K> = Extract<Result, { $case: K }>["value"];
  const ask = async <K extends Result["$case"]>($case: K, command: Command): Promise<Value<K>> => {
    const result = await askServer(command);
    if (result.$case !== $case) throw new MartletError("INTERNAL", "an answer to another question");
    return result.value as Value<K>;
  };
  const change = async (command: Command) => (await ask("change", command)).seq;
  const done = async (command: Command) => void (await ask("done", command));
  async function* pages<T>(
    ask: (page: string) => Promise<{ readonly nextPage: string; readonly all: readonly T[] }>,
  ): AsyncGenerator<T> {
    for (let page = "", more = true; more; ) {
      const { all, nextPage } = await ask(page);
      yield* all;
      page = nextPage;
      more = page !== "";
    }
  }
  const persist = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        const failure = error instanceof MartletError ? error : undefined;
        if (!failure?.retryable || tries === triesMost) throw error;
        await wait(failure.retryAfterMs || 1000);
      }
    }
  };
  const history: Commands["history"] = (conversationId, { before, after, limit = 0 } = {}) => {
    const place =
      before !== undefined ? { beforeSeq: before } : after !== undefined ? { afterSeq: after } : {};
    return ask("getHistory", { $case: "getHistory", value: { conversationId, limit, ...place } });
  };

  return {
    history,
    send: (value) => ask("sendMessage", { $case: "sendMessage", value }),
    edit: (conversationId, seq, body, { contentType = "", mentions = [] } = {}) =>
      change({
        $case: "editMessage",
        value: { conversationId, seq, contentType, mentions, body: toBytes(body) },
      }),
    redact: (conversationId, seq) =>
      change({ $case: "redactMessage", value: { conversationId, seq } }),
    react: (conversationId, seq, symbol) =>
      change({ $case: "react", value: { conversationId, seq, symbol } }),
    unreact: (conversationId, seq, symbol) =>
      change({ $case: "unreact", value: { conversationId, seq, symbol } }),

    getConversation: async (conversationId) =>
      (await ask("getConversation", { $case: "getConversation", value: { conversationId } }))
        .conversation,
    conversations: () =>
      pages(async (page) => {
        const value = await ask("listConversations", {
          $case: "listConversations",
          value: { page },
        });
        return { nextPage: value.nextPage, all: value.conversations };
      }),
    members: (conversationId) =>
      pages(async (page) => {
        const command: Command = { $case: "listMembers", value: { conversationId, page } };
        const value = await ask("listMembers", command);
        return { nextPage: value.nextPage, all: value.members };
      }),
    async *historyPages(id, from = {}) {
      for (let next = from, more = true; more; ) {
        const page = await history(id, next);
        yield page;
        const [first, last] = [page.events[0], page.events.at(-1)];
        more = page.hasMore && first !== undefined;
        const place = from.after !== undefined ? { after: last?.seq } : { before: first?.seq };
        next = { ...place, limit: from.limit } as HistoryFrom;
      }
    },

    markDelivered: (conversationId, seq) =>
      ask("mark", { $case: "markDelivered", value: { conversationId, seq } }),
    markRead: (conversationId, seq) =>
      ask("mark", { $case: "markRead", value: { conversationId, seq } }),
    receipts: (conversationId, seq) =>
      ask("getReceipts", { $case: "getReceipts", value: { conversationId, seq } }),

    openDirect: async (user) =>
      (await ask("openDirect", { $case: "openDirect", value: { user } })).conversation,
    createGroup(title, members, options = {}) {
      const { conversationId = crypto.randomUUID(), ...settings } = options;
      const value = { ...settings, conversationId, title, members };
      return persist(
        async () => (await ask("createGroup", { $case: "createGroup", value })).conversation,
      );
    },
    async updateGroup(conversationId, settings) {
      let seq = 0;
      // A command changes one of them.
      for (const [key, value] of Object.entries(settings))
        seq =
          (await change({ $case: "updateGroup", value: { conversationId, [key]: value } })) || seq;
      return seq;
    },
    addMembers: (conversationId, users) =>
      change({ $case: "addMembers", value: { conversationId, users } }),
    removeMember: (conversationId, user) =>
      change({ $case: "removeMember", value: { conversationId, user } }),
    leave: (conversationId) => change({ $case: "leave", value: { conversationId } }),
    setRole: (conversationId, user, role) =>
      change({ $case: "setRole", value: { conversationId, user, role: roleNumber(role) } }),
    setMute: (conversationId, untilMs) =>
      done({
        $case: "setMute",
        value: { conversationId, untilMs: Math.min(untilMs, forEverMs) },
      }),

    watchPresence: async (users) =>
      (await ask("watchPresence", { $case: "watchPresence", value: { users } })).presences,
    unwatchPresence: (users) => done({ $case: "unwatchPresence", value: { users } }),
    setPresence: (status) =>
      done({ $case: "setPresence", value: { status: statusNumber(status) } }),

    block: (user) => done({ $case: "blockUser", value: { user } }),
    unblock: (user) => done({ $case: "unblockUser", value: { user } }),
    blocked: () =>
      pages(async (page) => {
        const value = await ask("listBlocked", { $case: "listBlocked", value: { page } });
        return { nextPage: value.nextPage, all: value.users };
      }),
  };
}
