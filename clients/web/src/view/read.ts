/** What a view says, asked of it. */
import type { Member, Role } from "../model.ts";
import { currentOf } from "./ledger.ts";
import { countStep } from "./members.ts";
import type { Entry, SeenReceipt, View } from "./model.ts";
import { knownUpTo } from "./ranges.ts";

/** As far as the server counts (`unread_count` in conversations.proto). */
const unreadMost = 100;
const unreadEventsMost = 1000;

/** Messages of others that this user has not read; 100 is 100 or more. */
export function unreadCount(view: View): number {
  const { readSeq, firstSeq, lastSeq, known, unreadTold, entries } = view;
  const from = Math.max(readSeq, firstSeq - 1);
  const isKnown = knownUpTo(known, from) >= lastSeq;
  const after = isKnown ? from : Math.max(from, unreadTold.seq);
  const end = from + unreadEventsMost;
  let count = isKnown ? 0 : unreadTold.count;
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i];
    if (!entry || entry.seq <= after) break;
    if (entry.kind === "message" && entry.sender !== view.user && !entry.redactedSeq)
      count += Number(entry.seq <= end);
  }
  return Math.min(count, unreadMost);
}

/** This user's own role; undefined if it is no member any more. */
export function ownRole(view: View): Role | undefined {
  return view.leftSeq === undefined ? view.memberships.get(view.user)?.role : undefined;
}

export const memberCount = (view: View): number => currentOf(view.memberCounts, countStep);

/** The members that are known, in order of user. */
export function knownMembers(view: View): Member[] {
  return [...view.memberships]
    .flatMap(([user, { role }]) => (role ? [{ user, role }] : []))
    .sort((a, b) => (a.user < b.user ? -1 : 1));
}

export const knowsAllMembers = (view: View): boolean =>
  knownMembers(view).length === memberCount(view);

/** The entries without a hole up to the newest event, from which number on, and whether there are older ones. */
export function newestEntries(view: View): {
  readonly entries: readonly Entry[];
  /** Undefined if not even the newest event is known. */
  readonly from: number | undefined;
  readonly hasOlder: boolean;
} {
  const { entries, firstSeq, lastSeq } = view;
  const newest = view.known.at(-1);
  if (!newest || newest.to < lastSeq)
    return { entries: [], from: undefined, hasOlder: lastSeq >= firstSeq };
  const { from } = newest;
  const hasOlder = from > Math.max(firstSeq, 1);
  return { entries: entries.filter(({ seq }) => seq >= from), from, hasOlder };
}

/** How far the other members have it, in order of user; empty where it is not told. */
export function knownReceipts({ receipts, memberships }: View): SeenReceipt[] {
  return [...receipts.values()]
    .filter(({ user, seq }) => {
      const membership = memberships.get(user);
      return !membership || membership.role || membership.seq <= seq;
    })
    .sort((a, b) => (a.user < b.user ? -1 : 1));
}

/** How many of the others have an event, and how many of them have read it, where that is told. */
export function receiptsOf(
  view: View,
  seq: number,
): { delivered: number; read: number; of: number } {
  let delivered = 0;
  let read = 0;
  const receipts = knownReceipts(view);
  for (const receipt of receipts) {
    delivered += Number(receipt.deliveredSeq >= seq);
    read += Number(receipt.readSeq >= seq);
  }
  return { delivered, read, of: receipts.length };
}

export const isMuted = (view: View, nowMs: number): boolean => view.mutedUntilMs > nowMs;

/** Who types now. */
export const typingUsers = (view: View, nowMs: number): string[] =>
  [...view.typing].filter(([, until]) => until > nowMs).map(([user]) => user);
