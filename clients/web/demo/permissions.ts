/** What the server would allow, so that the page offers nothing else: docs/permissions.md has the table. */
import type { Role } from "../src/index.ts";
import { ownRole, type View, type ViewedMessage } from "../src/view.ts";

const rank: Record<Role, number> = { member: 1, admin: 2, owner: 3 };
const isAtLeast = (view: View, role: Role) => rank[ownRole(view) ?? "member"] >= rank[role];

export const isMember = (view: View): boolean => ownRole(view) !== undefined;
export const isAdmin = (view: View): boolean =>
  view.kind === "group" && isMember(view) && isAtLeast(view, "admin");
export const isOwner = (view: View): boolean => isAdmin(view) && isAtLeast(view, "owner");

export const mayWrite = (view: View): boolean =>
  isMember(view) && (!view.settings.announcement || isAtLeast(view, "admin"));

export const mayEdit = (view: View, message: ViewedMessage, windowS: number): boolean =>
  message.sender === view.user &&
  !message.redactedSeq &&
  mayWrite(view) &&
  (!windowS || Date.now() - message.timeMs < windowS * 1000);

export const mayRedact = (view: View, message: ViewedMessage): boolean =>
  !message.redactedSeq && isMember(view) && (message.sender === view.user || isAdmin(view));

export const mayRemove = (view: View, role: Role): boolean =>
  isOwner(view) || (isAdmin(view) && role === "member");
