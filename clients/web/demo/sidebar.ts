import { isMuted, typingUsers, unreadCount, type View } from "../src/view.ts";
import { avatar } from "./avatar.ts";
import type { Context, Part } from "./context.ts";
import { newChatDialog } from "./dialogs.ts";
import { el, iconButton, rebuild } from "./el.ts";
import { icon } from "./icons.ts";
import { type View as Row, reconcile } from "./reconcile.ts";
import { nameOf, previewOf, shortTimeOf, typingLine } from "./words.ts";

const byActivity = (a: View, b: View) => b.lastEventTimeMs - a.lastEventTimeMs;

function conversationRow(context: Context, view: View): Row {
  const { id } = view;
  return {
    key: id,
    make() {
      const button = el("button", {
        type: "button",
        className: "row",
        attributes: { "data-testid": "conversation", "data-id": id },
        onclick: () => context.show(id),
      });
      return el("li", {}, button);
    },
    update(item) {
      const button = item.firstElementChild;
      if (button instanceof HTMLElement) drawConversation(context, view, button);
    },
  };
}

/** What each row was drawn from: drawn again only if that is another. */
const drawn = new WeakMap<HTMLElement, string>();

function drawConversation(context: Context, view: View, button: HTMLElement): void {
  const name = nameOf(view);
  const unread = unreadCount(view);
  const muted = isMuted(view, Date.now());
  const typing = typingUsers(view, Date.now());
  const presence = view.kind === "direct" ? context.views.presences.get(view.peer) : undefined;
  const isBlocked = view.kind === "direct" && context.views.blocked.has(view.peer);
  const preview = typing.length
    ? view.kind === "direct"
      ? "typing …"
      : `${typingLine(typing)} …`
    : previewOf(view);
  const time = view.lastEventTimeMs ? shortTimeOf(view.lastEventTimeMs) : "";
  const isOpen = context.open === view.id;
  const failed = view.pending.some(({ failure }) => failure);
  const facts = JSON.stringify([
    ...[name, unread, muted, typing, presence?.status, isBlocked, preview, time, isOpen, failed],
    view.leftSeq,
  ]);
  if (drawn.get(button) === facts) return;
  drawn.set(button, facts);
  button.setAttribute("aria-current", String(isOpen));
  button.classList.toggle("unread", unread > 0);
  const badge = el(
    "span",
    {
      className: muted ? "badge quiet" : "badge",
      hidden: !unread,
      attributes: { "data-testid": "unread" },
    },
    el("span", { attributes: { "aria-hidden": "true" } }, unread < 100 ? `${unread}` : "99+"),
    el("span", { className: "hidden-text" }, `${unread} unread`),
  );
  rebuild(
    button,
    avatar(name, presence?.status),
    el("span", { className: "name" }, name),
    el("time", {}, time),
    el("span", { className: typing.length ? "preview typing" : "preview" }, preview),
    el(
      "span",
      { className: "marks" },
      failed && icon("alert", "not sent"),
      isBlocked && icon("block", "blocked"),
      muted && icon("mute", "muted"),
      badge,
    ),
  );
}

export function createSidebar(context: Context, state: HTMLElement, signOut: () => void): Part {
  const list = el("ul", { className: "conversations" });
  const filter = el("input", {
    type: "search",
    placeholder: "Search",
    attributes: { "aria-label": "Search conversations" },
    oninput: () => context.refresh(),
  });
  const begin = () => newChatDialog(context);
  const element = el(
    "aside",
    { attributes: { "aria-label": "Conversations" } },
    el(
      "header",
      { className: "self" },
      avatar(context.user),
      el("div", { className: "who" }, el("strong", {}, context.user), state),
      iconButton("plus", "New chat", begin),
      iconButton("out", "Sign out", signOut),
    ),
    el("div", { className: "filter" }, filter),
    list,
  );
  const empty = (): HTMLElement =>
    el(
      "li",
      { className: "empty" },
      icon("bird"),
      el("p", {}, "No conversations yet."),
      el("button", { type: "button", className: "primary", onclick: begin }, "Begin one"),
    );
  const render = () => {
    const wanted = filter.value.trim().toLowerCase();
    const views = [...context.views.all.values()]
      .filter((view) => nameOf(view).toLowerCase().includes(wanted))
      .sort(byActivity);
    if (views.length)
      return reconcile(
        list,
        views.map((view) => conversationRow(context, view)),
      );
    const none = () => el("li", { className: "note" }, "None is called so.");
    reconcile(list, [wanted ? { key: "none", make: none } : { key: "empty", make: empty }]);
  };
  return { element, render };
}
