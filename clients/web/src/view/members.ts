/** Who is a member, folded: the newest word about each user counts, in whatever order they are learned. */
import type { ConversationEvent, Member, Receipt, Role } from "../model.ts";
import { addChange, mergeLedgers, openLedger, settle } from "./ledger.ts";
import type { Membership, SeenReceipt, View } from "./model.ts";
import { knownUpTo } from "./ranges.ts";

type Word = readonly [user: string, role: Role | undefined];

export const countStep = (count: number, { by }: { readonly by: number }): number => count + by;

export function setMemberships(view: View, seq: number, words: readonly Word[]): View {
  const news = words.filter(([user]) => seq >= (view.memberships.get(user)?.seq ?? 0));
  if (!news.length) return view;
  const memberships = new Map<string, Membership>(view.memberships);
  for (const [user, role] of news) memberships.set(user, { seq, role });
  return { ...view, memberships };
}

function changeCount(view: View, seq: number, by: number): View {
  const changed = addChange(view.memberCounts, { seq, by });
  if (changed === view.memberCounts) return view;
  return {
    ...view,
    memberCounts: settle(changed, knownUpTo(view.known, changed.seq), countStep),
  };
}

export function setMemberCount(view: View, seq: number, count: number): View {
  const told = openLedger<number, { seq: number; by: number }>(seq, count);
  return { ...view, memberCounts: mergeLedgers(told, view.memberCounts) };
}

/** In each respect the one that is further: receipts only grow. */
export function putReceipt(
  receipts: ReadonlyMap<string, SeenReceipt>,
  { user, deliveredSeq, readSeq }: Receipt,
  seq: number,
): ReadonlyMap<string, SeenReceipt> {
  const known = receipts.get(user);
  return new Map(receipts).set(user, {
    user,
    deliveredSeq: Math.max(known?.deliveredSeq ?? 0, deliveredSeq),
    readSeq: Math.max(known?.readSeq ?? 0, readSeq),
    seq: Math.max(known?.seq ?? 0, seq),
  });
}

/** A new member has what was before its coming; that is how the server begins its receipts. */
function addReceipts(view: View, seq: number, users: readonly string[]): View {
  // In large conversations they are not told: to have some would be worse than none.
  if (!view.hasReceipts) return view;
  const others = users.filter((user) => user !== view.user);
  const receipts = others.reduce(
    (all, user) => putReceipt(all, { user, deliveredSeq: seq - 1, readSeq: seq - 1 }, seq),
    view.receipts,
  );
  return { ...view, receipts };
}

/** What an event says of the members. */
export function applyToMembers(view: View, event: ConversationEvent): View {
  const { seq, sender, content } = event;
  switch (content.kind) {
    case "created": {
      const { members, memberCount } = content;
      const words = members.map((user): Word => {
        const isOwner = view.kind === "group" && user === sender;
        return [user, isOwner ? "owner" : "member"];
      });
      return setMemberships(setMemberCount(view, seq, memberCount), seq, words);
    }
    case "membersAdded": {
      const { users } = content;
      const words = users.map((user): Word => [user, "member"]);
      const told = setMemberships(addReceipts(view, seq, users), seq, words);
      return changeCount(told, seq, users.length);
    }
    case "memberRemoved":
      return changeCount(setMemberships(view, seq, [[content.user, undefined]]), seq, -1);
    case "roleChanged":
      return setMemberships(view, seq, [[content.user, content.role]]);
    default:
      return view;
  }
}

/** The whole list, as it was when `seq` was the newest number, or later. */
export function applyMembers(view: View, members: readonly Member[], seq: number): View {
  const listed = new Set(members.map(({ user }) => user));
  const gone = [...view.memberships.keys()].filter((user) => !listed.has(user));
  return setMemberships(view, seq, [
    ...members.map(({ user, role }): Word => [user, role]),
    ...gone.map((user): Word => [user, undefined]),
  ]);
}
