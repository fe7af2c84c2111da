/** What a user interface binds to: `martlet/view`. */
export {
  apply,
  applyAll,
  applyConversation,
  applyGap,
  applyLeft,
  applyMute,
  applyPending,
  applyReceipt,
  applyTyping,
  createView,
  dropPending,
  expireTyping,
  findEntry,
} from "./view/fold.ts";
export { applyMembers } from "./view/members.ts";
export type { ViewedMessage } from "./view/message.ts";
export type { Entry, Membership, Notice, NoticeContent, Pending, View } from "./view/model.ts";
export {
  isMuted,
  knownMembers,
  knownReceipts,
  knowsAllMembers,
  memberCount,
  newestEntries,
  ownRole,
  receiptsOf,
  typingUsers,
  unreadCount,
} from "./view/read.ts";
export { createViews, type Views, type ViewsEvents } from "./view/views.ts";
