/**
 * How a view goes on: pure functions of a view and what was told. It does not matter in which order events,
 * pages of history and states are learned, nor how often: what was told of the same log is the same view.
 */
import type {
  Conversation,
  ConversationEvent,
  Message,
  Receipt,
  ReceiptChanged,
  TypingChanged,
} from "../model.ts";
import type { Outgoing } from "../outbox.ts";
import { openLedger } from "./ledger.ts";
import { applyToMembers, putReceipt, setMemberCount, setMemberships } from "./members.ts";
import {
  type Change,
  changeMessage,
  isChange,
  mergeMessages,
  settleMessage,
  viewMessage,
} from "./message.ts";
import type { Entry, Notice, NoticeContent, View } from "./model.ts";
import { addRange } from "./ranges.ts";

/**
 * Changes whose message is not known. Only those that overtake a page matter: whatever page is read later
 * includes them.
 */
const orphansMost = 500;

export function createView(conversation: Conversation, user: string): View {
  const { id, kind, peer, title, announcement, fullHistory, firstSeq } = conversation;
  const empty: View = {
    ...{ id, kind, peer, user, firstSeq },
    settings: { title, announcement, fullHistory },
    settingsSeq: 0,
    lastSeq: 0,
    lastEventTimeMs: 0,
    lastEvent: undefined,
    entries: [],
    known: [],
    orphans: [],
    memberships: new Map(),
    memberCounts: openLedger(0, 0),
    deliveredSeq: 0,
    readSeq: 0,
    unreadTold: { count: 0, seq: 0 },
    mutedUntilMs: 0,
    receipts: new Map(),
    hasReceipts: false,
    typing: new Map(),
    pending: [],
    leftSeq: undefined,
  };
  return applyConversation(empty, conversation);
}

/** Where a number stands among the entries, or would. */
function placeOf(entries: readonly Entry[], seq: number): number {
  let low = 0;
  let high = entries.length;
  // The newest is asked for most.
  if ((entries.at(-1)?.seq ?? 0) < seq) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle]?.seq ?? 0) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function findEntry(view: View, seq: number): Entry | undefined {
  const entry = view.entries[placeOf(view.entries, seq)];
  return entry?.seq === seq ? entry : undefined;
}

function putEntry(view: View, entry: Entry): View {
  const place = placeOf(view.entries, entry.seq);
  const isThere = view.entries[place]?.seq === entry.seq;
  return { ...view, entries: view.entries.toSpliced(place, isThere ? 1 : 0, entry) };
}

function putMessage(view: View, event: ConversationEvent<Message>): View {
  const { seq } = event;
  const known = findEntry(view, seq);
  const fresh = viewMessage(event);
  const merged = known?.kind === "message" ? mergeMessages(known, fresh) : fresh;
  const mine = view.orphans.filter(({ content }) => content.targetSeq === seq);
  const changed = mine.reduce((one, change) => changeMessage(one, change, view.user), merged);
  const own = event.sender === view.user ? event.content.clientMessageId : undefined;
  return {
    ...putEntry(view, settleMessage(changed, view.known)),
    orphans: mine.length
      ? view.orphans.filter(({ content }) => content.targetSeq !== seq)
      : view.orphans,
    pending: own ? view.pending.filter((p) => p.message.clientMessageId !== own) : view.pending,
  };
}

function putChange(view: View, change: Change): View {
  const { targetSeq } = change.content;
  const message = findEntry(view, targetSeq);
  if (message?.kind === "message") {
    const changed = changeMessage(message, change, view.user);
    return changed === message ? view : putEntry(view, settleMessage(changed, view.known));
  }
  if (targetSeq < view.firstSeq || view.orphans.some(({ seq }) => seq === change.seq)) return view;
  const orphans = [...view.orphans, change].sort((a, b) => a.seq - b.seq).slice(-orphansMost);
  return { ...view, orphans };
}

function putNotice(view: View, event: ConversationEvent<NoticeContent>): View {
  const { seq, sender, timeMs, content } = event;
  const told = applyToMembers(view, event);
  const isSettings = content.kind === "created" || content.kind === "groupUpdated";
  const { settings, settingsSeq } =
    isSettings && seq >= view.settingsSeq
      ? {
          settings: {
            title: content.title,
            announcement: content.announcement,
            fullHistory: content.fullHistory,
          },
          settingsSeq: seq,
        }
      : view;
  const notice: Notice = { kind: "notice", seq, sender, timeMs, content };
  return { ...putEntry(told, notice), settings, settingsSeq };
}

function without<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  if (!map.has(key)) return map;
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}

/** One event: live, missed or of a page of history. */
export function apply(view: View, event: ConversationEvent): View {
  const { seq, sender, content, timeMs } = event;
  // Before one's time: who joined again does not have what it had.
  if (seq < view.firstSeq) return view;
  const isNewest = seq >= view.lastSeq;
  const seen: View = {
    ...view,
    known: addRange(view.known, seq, seq),
    lastSeq: Math.max(view.lastSeq, seq),
    ...(isNewest && { lastEvent: event, lastEventTimeMs: Math.max(view.lastEventTimeMs, timeMs) }),
    ...(isNewest && content.kind === "message" && { typing: without(view.typing, sender) }),
  };
  if (isChange(event)) return putChange(seen, event);
  if (content.kind === "message") return putMessage(seen, event as ConversationEvent<Message>);
  if (content.kind === "unknown") return seen;
  return putNotice(seen, event as ConversationEvent<NoticeContent>);
}

/** A page of history, or any other handful of events. */
export const applyAll = (view: View, events: readonly ConversationEvent[]): View =>
  events.reduce(apply, view);

const only = <T>(map: ReadonlyMap<string, T>, receipts: readonly Receipt[]) => {
  const users = new Set(receipts.map(({ user }) => user));
  return new Map([...map].filter(([user]) => users.has(user)));
};

/** How the conversation stood when `lastSeq` was its newest number. */
export function applyConversation(view: View, conversation: Conversation): View {
  const { lastSeq, firstSeq, role, memberCount, deliveredSeq, readSeq, unreadCount } = conversation;
  const { title, announcement, fullHistory, lastEvent, mutedUntilMs, peer } = conversation;
  const isNewer = lastSeq >= view.lastSeq;
  const isSettingsNewer = lastSeq >= view.settingsSeq;
  const isReadNewer = readSeq >= view.readSeq && isNewer;
  const stated: View = {
    ...view,
    peer,
    firstSeq: Math.max(view.firstSeq, firstSeq),
    lastSeq: Math.max(view.lastSeq, lastSeq),
    lastEventTimeMs: Math.max(view.lastEventTimeMs, conversation.lastEventTimeMs),
    settings: isSettingsNewer ? { title, announcement, fullHistory } : view.settings,
    settingsSeq: Math.max(view.settingsSeq, lastSeq),
    deliveredSeq: Math.max(view.deliveredSeq, deliveredSeq),
    readSeq: Math.max(view.readSeq, readSeq),
    unreadTold: isReadNewer ? { count: unreadCount, seq: lastSeq } : view.unreadTold,
    mutedUntilMs: isNewer ? mutedUntilMs : view.mutedUntilMs,
    receipts: conversation.receipts.reduce(
      (all, receipt) => putReceipt(all, receipt, lastSeq),
      isNewer ? only(view.receipts, conversation.receipts) : view.receipts,
    ),
    hasReceipts: isNewer ? conversation.receipts.length >= memberCount - 1 : view.hasReceipts,
    leftSeq: isNewer ? undefined : view.leftSeq,
  };
  const known = setMemberships(setMemberCount(stated, lastSeq, memberCount), lastSeq, [
    [view.user, role],
    ...(view.kind === "direct" ? ([[peer, "member"]] as const) : []),
  ]);
  const begun = firstSeq > view.firstSeq ? forgetBefore(known, firstSeq) : known;
  return lastEvent ? apply(begun, lastEvent) : begun;
}

/** What lies before one's own time is not one's own any more. */
function forgetBefore(view: View, firstSeq: number): View {
  return {
    ...view,
    entries: view.entries.slice(placeOf(view.entries, firstSeq)),
    known: view.known
      .filter(({ to }) => to >= firstSeq)
      .map(({ from, to }) => ({ from: Math.max(from, firstSeq), to })),
    orphans: view.orphans.filter(({ content }) => content.targetSeq >= firstSeq),
  };
}

/** The log goes on after a number, whatever was before it. */
export const applyGap = (view: View, seq: number): View =>
  seq > view.lastSeq ? { ...view, lastSeq: seq } : view;

/** The user is no member any more. */
export function applyLeft(view: View, lastSeq: number): View {
  return { ...view, leftSeq: lastSeq, typing: new Map() };
}

export function applyReceipt(view: View, receipt: ReceiptChanged): View {
  const { user, deliveredSeq, readSeq, unreadCount } = receipt;
  if (user !== view.user) return { ...view, receipts: putReceipt(view.receipts, receipt, 0) };
  return {
    ...view,
    deliveredSeq: Math.max(view.deliveredSeq, deliveredSeq),
    readSeq: Math.max(view.readSeq, readSeq),
    unreadTold:
      readSeq >= view.readSeq ? { count: unreadCount, seq: view.lastSeq } : view.unreadTold,
  };
}

export const applyMute = (view: View, mutedUntilMs: number): View => ({ ...view, mutedUntilMs });

export function applyTyping(view: View, { user, expiresInMs }: TypingChanged, nowMs: number): View {
  if (!expiresInMs) return { ...view, typing: without(view.typing, user) };
  return { ...view, typing: new Map(view.typing).set(user, nowMs + expiresInMs) };
}

/** Forgets who has not said again in time that it types. */
export function expireTyping(view: View, nowMs: number): View {
  const typing = new Map([...view.typing].filter(([, until]) => until > nowMs));
  return typing.size === view.typing.size ? view : { ...view, typing };
}

/** A message of one's own is on its way, or on its way again. */
export function applyPending(view: View, message: Outgoing, failure = ""): View {
  const { clientMessageId } = message;
  const isThere = view.entries.some(
    (entry) =>
      entry.kind === "message" &&
      entry.sender === view.user &&
      entry.clientMessageId === clientMessageId,
  );
  if (isThere) return dropPending(view, clientMessageId);
  const place = view.pending.findIndex((p) => p.message.clientMessageId === clientMessageId);
  const one = { message, failure };
  return {
    ...view,
    pending: place < 0 ? [...view.pending, one] : view.pending.with(place, one),
  };
}

export const dropPending = (view: View, clientMessageId: string): View => ({
  ...view,
  pending: view.pending.filter((p) => p.message.clientMessageId !== clientMessageId),
});
