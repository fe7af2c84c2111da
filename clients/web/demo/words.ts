/** What the page says of conversations, in words. */
import type { ConversationEvent, Presence, Role, Settings } from "../src/index.ts";
import type { Entry, Notice, View, ViewedMessage } from "../src/view.ts";

const decoder = new TextDecoder();
export const textOf = (message: { body: Uint8Array }): string => decoder.decode(message.body);

export const nameOf = (view: View): string =>
  view.kind === "direct" ? view.peer : view.settings.title;

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long" });
const fullDate = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "long",
  year: "numeric",
});
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

export const timeOf = (ms: number): string => time.format(ms);
export const exactTimeOf = (ms: number): string => exact.format(ms);

const dayMs = 86_400_000;
const midnight = (ms: number) => new Date(ms).setHours(0, 0, 0, 0);
export const isSameDay = (a: number, b: number): boolean => midnight(a) === midnight(b);

export function dayOf(ms: number): string {
  const days = Math.round((midnight(Date.now()) - midnight(ms)) / dayMs);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days > 1 && days < 7) return weekday.format(ms);
  return new Date(ms).getFullYear() === new Date().getFullYear()
    ? date.format(ms)
    : fullDate.format(ms);
}

/** When something was, as short as a list wants it. */
export const shortTimeOf = (ms: number): string =>
  isSameDay(ms, Date.now()) ? timeOf(ms) : dayOf(ms);

export function presenceOf(presence: Presence | undefined): string {
  if (!presence) return "";
  if (presence.status === "online") return "online";
  if (presence.status === "away") return "away";
  const ms = presence.lastSeenMs;
  if (!ms) return "offline";
  const minutes = Math.floor((Date.now() - ms) / 60_000);
  if (minutes < 1) return "last seen just now";
  if (minutes < 60) return `last seen ${minutes} min ago`;
  return `last seen ${dayOf(ms).toLowerCase()} at ${timeOf(ms)}`;
}

const list = new Intl.ListFormat("en", { type: "conjunction" });
const roles: Record<Role, string> = { owner: "an owner", admin: "an admin", member: "a member" };

/** What a change of settings changed; `before` is undefined if that is not known. */
function settingsLine(who: string, before: Settings | undefined, now: Settings): string {
  const parts: string[] = [];
  if (before && before.title !== now.title) parts.push(`renamed the group to “${now.title}”`);
  if (before && before.announcement !== now.announcement)
    parts.push(now.announcement ? "let only admins write" : "let everybody write");
  if (before && before.fullHistory !== now.fullHistory)
    parts.push(
      `${now.fullHistory ? "showed" : "hid"} the history ${now.fullHistory ? "to" : "from"} new members`,
    );
  return `${who} ${parts.length ? list.format(parts) : "changed the group’s settings"}`;
}

/** A notice as a line of its own. */
export function noticeLine(notice: Notice, view: View): string {
  const { sender, content } = notice;
  const name = (user: string, isFirst = false) =>
    user === view.user ? (isFirst ? "You" : "you") : user;
  const who = name(sender, true);
  switch (content.kind) {
    case "created":
      return view.kind === "direct"
        ? `${who} started this conversation`
        : `${who} created the group “${content.title}”`;
    case "membersAdded":
      return `${who} added ${list.format(content.users.map((user) => name(user)))}`;
    case "memberRemoved":
      return content.user === sender ? `${who} left` : `${who} removed ${name(content.user)}`;
    case "roleChanged":
      return `${who} made ${name(content.user)} ${roles[content.role]}`;
    case "groupUpdated": {
      const earlier = view.entries.findLast(
        (entry) =>
          entry.seq < notice.seq &&
          entry.kind === "notice" &&
          (entry.content.kind === "groupUpdated" || entry.content.kind === "created"),
      );
      const before = earlier?.kind === "notice" ? (earlier.content as Settings) : undefined;
      return settingsLine(who, before, content);
    }
  }
}

const sentBy = (sender: string, view: View, text: string): string =>
  sender === view.user ? `You: ${text}` : view.kind === "group" ? `${sender}: ${text}` : text;

const messageLine = (message: ViewedMessage, view: View): string =>
  message.redactedSeq ? "Message deleted" : sentBy(message.sender, view, textOf(message));

/** The newest thing that happened, for the list of conversations. */
export function previewOf(view: View): string {
  const waiting = view.pending.at(-1);
  if (waiting) return `You: ${textOf(waiting.message)}`;
  const entry: Entry | undefined = view.entries.at(-1);
  if (entry) return entry.kind === "message" ? messageLine(entry, view) : noticeLine(entry, view);
  return eventLine(view.lastEvent, view);
}

/** A change whose message is not here. */
function eventLine(event: ConversationEvent | undefined, view: View): string {
  if (!event) return "";
  const who = event.sender === view.user ? "You" : event.sender;
  const { content } = event;
  if (content.kind === "messageEdited") return `${who} edited a message`;
  if (content.kind === "messageRedacted") return `${who} deleted a message`;
  if (content.kind === "reactionChanged")
    return content.added ? `${who} reacted ${content.symbol}` : `${who} took a reaction back`;
  return "";
}

export function typingLine(users: readonly string[]): string {
  if (!users.length) return "";
  if (users.length > 3) return "Several people are typing";
  return `${list.format(users)} ${users.length > 1 ? "are" : "is"} typing`;
}
