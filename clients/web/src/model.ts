/** What the SDK's users see of conversations. Sequence numbers and times are exact: below 2^53. */
export interface Message {
  readonly kind: "message";
  readonly clientMessageId: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly replyToSeq: number;
}

export interface Created {
  readonly kind: "created";
  readonly title: string;
  readonly members: readonly string[];
  readonly memberCount: number;
}

/** A kind of a later server: it counts, and there is nothing to show. */
export interface Unknown {
  readonly kind: "unknown";
}

export interface ConversationEvent {
  readonly conversationId: string;
  readonly seq: number;
  readonly sender: string;
  readonly timeMs: number;
  readonly content: Message | Created | Unknown;
}

export interface Conversation {
  readonly id: string;
  readonly kind: "direct" | "group";
  readonly title: string;
  readonly peer: string;
  readonly memberCount: number;
  readonly role: "member" | "admin" | "owner";
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly unreadCount: number;
  readonly lastEventTimeMs: number;
  readonly lastEvent: ConversationEvent | undefined;
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

export interface Cursor {
  readonly conversationId: string;
  readonly seq: number;
}

/** What the server said of itself and of this session. */
export interface Welcome {
  readonly server: string;
  readonly node: string;
  readonly user: string;
  readonly heartbeatMs: number;
  /** The bounds in force (`Limits` in session.proto). */
  readonly frameBytes: number;
  readonly bodyBytes: number;
  readonly cursors: number;
  readonly resumeEvents: number;
}
