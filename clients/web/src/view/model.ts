/** What a view is made of. It is never changed: each function makes another one that shares what did not. */
import type {
  Conversation,
  ConversationEvent,
  Created,
  GroupUpdated,
  MemberRemoved,
  MembersAdded,
  Receipt,
  Role,
  RoleChanged,
  Settings,
} from "../model.ts";
import type { Outgoing } from "../outbox.ts";
import type { Ledger } from "./ledger.ts";
import type { Change, ViewedMessage } from "./message.ts";
import type { Ranges } from "./ranges.ts";

/** An event that stands in the conversation as a line of its own, and is no message. */
export type NoticeContent = Created | MembersAdded | MemberRemoved | RoleChanged | GroupUpdated;

export interface Notice {
  readonly kind: "notice";
  readonly seq: number;
  readonly sender: string;
  readonly timeMs: number;
  readonly content: NoticeContent;
}

export type Entry = ViewedMessage | Notice;

/** A message of this user that the server has not answered, or has refused. */
export interface Pending {
  readonly message: Outgoing;
  /** Empty while it waits. */
  readonly failure: string;
}

export interface SeenReceipt extends Receipt {
  /** The newest number of which it is known that the user was a member. */
  readonly seq: number;
}

/** How a user stood after an event: undefined if it was no member. */
export interface Membership {
  readonly seq: number;
  readonly role: Role | undefined;
}

export interface View {
  readonly id: string;
  readonly kind: Conversation["kind"];
  /** A direct conversation's other user. */
  readonly peer: string;
  /** Whose view it is. */
  readonly user: string;
  readonly settings: Settings;
  readonly settingsSeq: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly lastEventTimeMs: number;
  /** The newest event that was told, if it is known. */
  readonly lastEvent: ConversationEvent | undefined;
  /** What is known, in rising order of number; there may be holes. */
  readonly entries: readonly Entry[];
  /** The numbers whose events are known: where they end, a hole begins. */
  readonly known: Ranges;
  /** Changes of messages that are not known (yet), in rising order: the newest ones. */
  readonly orphans: readonly Change[];
  /** Everybody of whom something is known, also who is no member any more. */
  readonly memberships: ReadonlyMap<string, Membership>;
  readonly memberCounts: Ledger<number, { readonly seq: number; readonly by: number }>;
  /** How far this user has it. */
  readonly deliveredSeq: number;
  readonly readSeq: number;
  /** As the server counted when `lastSeq` was `seq`; what is known by itself is counted here. */
  readonly unreadTold: { readonly count: number; readonly seq: number };
  readonly mutedUntilMs: number;
  /** How far the others have it, those who are members no more among them: `knownReceipts` leaves them out. */
  readonly receipts: ReadonlyMap<string, SeenReceipt>;
  /** Receipts are told here: in larger conversations they are not. */
  readonly hasReceipts: boolean;
  /** Who types, and until when unless it is said again. */
  readonly typing: ReadonlyMap<string, number>;
  readonly pending: readonly Pending[];
  /** The number with which the user's membership ended; undefined while it is a member. */
  readonly leftSeq: number | undefined;
}
