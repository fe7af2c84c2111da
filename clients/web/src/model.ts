/** What the SDK's users see of conversations. Sequence numbers and times are exact: below 2^53. */
export type Role = "member" | "admin" | "owner";

export interface Content {
  /** A media type; empty is "text/plain" in UTF-8. */
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly mentions: readonly string[];
}

export interface Reaction {
  readonly symbol: string;
  readonly count: number;
  readonly mine: boolean;
}

/** As it was sent, if it comes as an event; as it stands, if it comes in a page of history. */
export interface Message extends Content {
  readonly kind: "message";
  readonly clientMessageId: string;
  readonly replyToSeq: number;
  readonly editedSeq: number;
  readonly redactedSeq: number;
  readonly reactions: readonly Reaction[];
  readonly reactionsSeq: number;
}

/** A group's title and settings. */
export interface Settings {
  readonly title: string;
  readonly announcement: boolean;
  readonly fullHistory: boolean;
}

export interface Created extends Settings {
  readonly kind: "created";
  /** Empty if they are too many to be named. */
  readonly members: readonly string[];
  readonly memberCount: number;
}

export interface MessageEdited extends Content {
  readonly kind: "messageEdited";
  readonly targetSeq: number;
}

export interface MessageRedacted {
  readonly kind: "messageRedacted";
  readonly targetSeq: number;
}

export interface ReactionChanged {
  readonly kind: "reactionChanged";
  readonly targetSeq: number;
  readonly symbol: string;
  readonly added: boolean;
}

export interface MembersAdded {
  readonly kind: "membersAdded";
  readonly users: readonly string[];
}

/** By the event's sender; by itself, if it is the sender. */
export interface MemberRemoved {
  readonly kind: "memberRemoved";
  readonly user: string;
}

export interface RoleChanged {
  readonly kind: "roleChanged";
  readonly user: string;
  readonly role: Role;
}

export interface GroupUpdated extends Settings {
  readonly kind: "groupUpdated";
}

/** A kind of a later server: it counts, and there is nothing to show. */
export interface Unknown {
  readonly kind: "unknown";
}

export type EventContent =
  | Message
  | Created
  | MessageEdited
  | MessageRedacted
  | ReactionChanged
  | MembersAdded
  | MemberRemoved
  | RoleChanged
  | GroupUpdated
  | Unknown;

export interface ConversationEvent<C extends EventContent = EventContent> {
  readonly conversationId: string;
  readonly seq: number;
  readonly sender: string;
  readonly timeMs: number;
  readonly content: C;
}

export interface Receipt {
  readonly user: string;
  readonly deliveredSeq: number;
  readonly readSeq: number;
}

export interface Conversation extends Settings {
  readonly id: string;
  readonly kind: "direct" | "group";
  readonly peer: string;
  readonly memberCount: number;
  readonly role: Role;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly deliveredSeq: number;
  readonly readSeq: number;
  /** 100 is 100 or more. */
  readonly unreadCount: number;
  readonly lastEventTimeMs: number;
  readonly lastEvent: ConversationEvent | undefined;
  readonly mutedUntilMs: number;
  /** Of the others, where they are few (`receiptMembers`). */
  readonly receipts: readonly Receipt[];
  readonly stateVersion: number;
}

export interface Member {
  readonly user: string;
  readonly role: Role;
}

export type PresenceStatus = "offline" | "away" | "online";

export interface Presence {
  readonly user: string;
  readonly status: PresenceStatus;
  /** If it is offline and this is known; 0 otherwise. */
  readonly lastSeenMs: number;
}

export interface HistoryPage {
  /** In rising order of number. */
  readonly events: readonly ConversationEvent[];
  readonly hasMore: boolean;
}

export interface Sent {
  readonly seq: number;
  readonly timeMs: number;
}

/** How far this user has a conversation. */
export interface Mark {
  readonly deliveredSeq: number;
  readonly readSeq: number;
  readonly unreadCount: number;
}

export interface ReceiptChanged extends Receipt {
  readonly conversationId: string;
  /** If the member is this user; 0 otherwise. */
  readonly unreadCount: number;
}

export interface TypingChanged {
  readonly conversationId: string;
  readonly user: string;
  /** How long it holds unless it is said again; 0: it has stopped. */
  readonly expiresInMs: number;
}

export interface Cursor {
  readonly conversationId: string;
  readonly seq: number;
  readonly stateVersion: number;
}

/** What the server said of itself and of this session. */
export interface Welcome extends Limits {
  readonly server: string;
  readonly node: string;
  readonly user: string;
  readonly heartbeatMs: number;
}

/** The bounds in force, as session.proto has them; 0 where the server did not say. */
export interface Limits {
  readonly frameBytes: number;
  readonly bodyBytes: number;
  readonly groupMembers: number;
  readonly historyEvents: number;
  readonly cursors: number;
  readonly resumeEvents: number;
  readonly titleBytes: number;
  readonly addedMembers: number;
  readonly mentions: number;
  readonly editWindowS: number;
  readonly reactionSymbols: number;
  readonly receiptMembers: number;
  readonly typingMembers: number;
  readonly watchedUsers: number;
  readonly blockedUsers: number;
}
