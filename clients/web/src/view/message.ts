/** One message and what happened to it, in whatever order both are learned (Message in events.proto). */
import type {
  Content,
  ConversationEvent,
  Message,
  MessageEdited,
  MessageRedacted,
  Reaction,
  ReactionChanged,
} from "../model.ts";
import { addChange, currentOf, type Ledger, mergeLedgers, openLedger, settle } from "./ledger.ts";
import { knownUpTo, type Ranges } from "./ranges.ts";

export interface ViewedMessage extends Content {
  readonly kind: "message";
  readonly seq: number;
  readonly sender: string;
  readonly timeMs: number;
  readonly clientMessageId: string;
  readonly replyToSeq: number;
  /** 0 if it is as it was sent. */
  readonly editedSeq: number;
  /** 0 if it is not; otherwise there is no content and no reaction. */
  readonly redactedSeq: number;
  /** As they stand, in order of symbol. */
  readonly reactions: readonly Reaction[];
  /** What `reactions` is made of. */
  readonly ledger: Ledger<readonly Reaction[], ReactionChange>;
}

interface ReactionChange {
  readonly seq: number;
  readonly symbol: string;
  readonly by: number;
  readonly isMine: boolean;
}

/** An event that changes a message. */
export type Change = ConversationEvent<MessageEdited | MessageRedacted | ReactionChanged>;

export function isChange(event: ConversationEvent): event is Change {
  const { kind } = event.content;
  return kind === "messageEdited" || kind === "messageRedacted" || kind === "reactionChanged";
}

const bySymbol = (a: Reaction, b: Reaction) =>
  a.symbol < b.symbol ? -1 : a.symbol > b.symbol ? 1 : 0;

function step(reactions: readonly Reaction[], change: ReactionChange): readonly Reaction[] {
  const { symbol, by, isMine } = change;
  const known = reactions.find((reaction) => reaction.symbol === symbol);
  const count = (known?.count ?? 0) + by;
  const others = reactions.filter((reaction) => reaction !== known);
  if (count <= 0) return others;
  const mine = isMine ? by > 0 : (known?.mine ?? false);
  return [...others, { symbol, count, mine }].sort(bySymbol);
}

/** A message without content has none of the rest either. */
const redact = (message: ViewedMessage, redactedSeq: number): ViewedMessage => ({
  ...message,
  redactedSeq,
  editedSeq: 0,
  contentType: "",
  body: new Uint8Array(),
  mentions: [],
  reactions: [],
  ledger: openLedger(redactedSeq, []),
});

export function viewMessage(event: ConversationEvent<Message>): ViewedMessage {
  const { seq, sender, timeMs, content } = event;
  const { reactionsSeq, redactedSeq, ...rest } = content;
  // Nobody reacts to a message before it is there.
  const ledger = openLedger<readonly Reaction[], ReactionChange>(
    Math.max(seq, reactionsSeq),
    content.reactions,
  );
  const message = { ...rest, seq, sender, timeMs, redactedSeq: 0, ledger };
  return redactedSeq ? redact(message, redactedSeq) : message;
}

/** Of two versions, in each respect the one that includes newer changes. */
export function mergeMessages(a: ViewedMessage, b: ViewedMessage): ViewedMessage {
  if (a.redactedSeq) return a;
  if (b.redactedSeq) return b;
  const newest = a.editedSeq >= b.editedSeq ? a : b;
  const ledger = mergeLedgers(a.ledger, b.ledger);
  return { ...newest, ledger, reactions: currentOf(ledger, step) };
}

export function changeMessage(
  message: ViewedMessage,
  { seq, sender, content }: Change,
  user: string,
): ViewedMessage {
  if (message.redactedSeq) return message;
  if (content.kind === "messageRedacted") return redact(message, seq);
  if (content.kind === "messageEdited") {
    if (seq <= message.editedSeq) return message;
    const { contentType, body, mentions } = content;
    return { ...message, contentType, body, mentions, editedSeq: seq };
  }
  const { symbol, added } = content;
  const by = added ? 1 : -1;
  const ledger = addChange(message.ledger, { seq, symbol, by, isMine: sender === user });
  if (ledger === message.ledger) return message;
  return { ...message, ledger, reactions: currentOf(ledger, step) };
}

/** Forgets what the reactions were made of as far as nothing can come in between any more. */
export function settleMessage(message: ViewedMessage, known: Ranges): ViewedMessage {
  if (!message.ledger.changes.length) return message;
  const upTo = knownUpTo(known, message.ledger.seq);
  return { ...message, ledger: settle(message.ledger, upTo, step) };
}
