import type { ConversationEvent } from "../src/index.ts";
import { el } from "./el.ts";
import type { View } from "./reconcile.ts";
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

export function conversationList(store: Store): View[] {
  const threads = [...store.threads.values()].sort((a, b) => lastTime(b) - lastTime(a));
  if (!threads.length)
    return [{ key: "", make: () => el("li", { className: "note" }, "No conversations yet.") }];
  return threads.map((thread) => conversationView(store, thread));
}

function conversationView(store: Store, thread: Thread): View {
  const { id } = thread.conversation;
  return {
    key: id,
    make() {
      const button = el("button", { attributes: { "data-testid": "conversation", "data-id": id } });
      button.onclick = () => store.show(id);
      return el("li", {}, button);
    },
    update(item) {
      const badge = el("span", { className: "badge", hidden: !thread.unread }, `${thread.unread}`);
      badge.setAttribute("aria-label", `${thread.unread} unread`);
      const last = textOf(thread.events.at(-1) ?? thread.conversation.lastEvent);
      const button = item.firstElementChild;
      button?.replaceChildren(el("span", {}, nameOf(thread)), badge, el("small", {}, last));
      button?.setAttribute("aria-current", String(store.open === id));
    },
  };
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

export function messageList(store: Store, thread: Thread, user: string): View[] {
  const { id } = thread.conversation;
  const older = () => {
    const button = el("button", { attributes: { "data-testid": "older" } }, "Load older");
    button.onclick = () => void store.loadOlder(id);
    return button;
  };
  return [
    ...(thread.hasOlder ? [{ key: `${id} older`, make: older }] : []),
    ...thread.events.map((event) => ({
      key: `${id} ${event.seq}`,
      make: () => eventView(event, user),
    })),
    ...thread.drafts.map((draft) => ({
      key: `${id} ${draft.clientMessageId} ${draft.failure}`,
      make: () => draftView(store, id, draft),
    })),
  ];
}
