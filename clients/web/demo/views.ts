import type { ConversationEvent } from "../src/index.ts";
import { el } from "./el.ts";
import type { Draft, Store, Thread } from "./store.ts";

export function nameOf({ conversation }: Thread): string {
  return conversation.kind === "direct" ? conversation.peer : conversation.title;
}

const decoder = new TextDecoder();

function textOf(event: ConversationEvent | undefined): string {
  if (event?.content.kind === "message") return decoder.decode(event.content.body);
  if (event?.content.kind === "created") return "The conversation began";
  return "";
}

const lastTime = (thread: Thread): number =>
  thread.events.at(-1)?.timeMs ?? thread.conversation.lastEventTimeMs;

export function conversationList(store: Store): HTMLElement[] {
  const threads = [...store.threads.values()].sort((a, b) => lastTime(b) - lastTime(a));
  if (!threads.length) return [el("li", { className: "note" }, "No conversations yet.")];
  return threads.map((thread) => {
    const { id } = thread.conversation;
    const badge = el("span", { className: "badge", hidden: !thread.unread }, `${thread.unread}`);
    badge.setAttribute("aria-label", `${thread.unread} unread`);
    const last = textOf(thread.events.at(-1) ?? thread.conversation.lastEvent);
    const button = el(
      "button",
      { attributes: { "data-testid": "conversation", "data-id": id } },
      el("span", {}, nameOf(thread)),
      badge,
      el("small", {}, last),
    );
    button.setAttribute("aria-current", String(store.open === id));
    button.onclick = () => store.show(id);
    return el("li", {}, button);
  });
}

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function eventView(event: ConversationEvent, user: string): HTMLElement {
  if (event.content.kind !== "message")
    return el("p", { className: "note" }, textOf(event) || "Something this page does not know");
  const mine = event.sender === user;
  const view = el("div", { className: mine ? "message mine" : "message" }, textOf(event));
  view.setAttribute("data-testid", "message");
  view.setAttribute("data-seq", String(event.seq));
  const when = time.format(event.timeMs);
  view.append(el("small", {}, mine ? `${when} · sent` : `${event.sender} · ${when}`));
  return view;
}

function draftView(store: Store, id: string, draft: Draft): HTMLElement {
  const view = el("div", { className: "message mine" }, draft.text);
  view.setAttribute("data-testid", "draft");
  view.append(el("small", {}, draft.failure ? `Not sent: ${draft.failure}` : "Waiting to be sent"));
  if (draft.failure) {
    view.classList.add("failed");
    const button = el("button", {}, "Send again");
    button.onclick = () => store.retry(id, draft);
    view.append(button);
  }
  return view;
}

export function messageList(store: Store, thread: Thread, user: string): HTMLElement[] {
  const { id } = thread.conversation;
  const older = el("button", { attributes: { "data-testid": "older" } }, "Load older");
  older.onclick = () => void store.loadOlder(id);
  return [
    ...(thread.hasOlder ? [older] : []),
    ...thread.events.map((event) => eventView(event, user)),
    ...thread.drafts.map((draft) => draftView(store, id, draft)),
  ];
}
