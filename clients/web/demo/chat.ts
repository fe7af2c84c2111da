import {
  isMuted,
  memberCount,
  receiptsOf,
  typingUsers,
  unreadCount,
  type View,
  type ViewedMessage,
} from "../src/view.ts";
import { avatar } from "./avatar.ts";
import { createComposer } from "./composer.ts";
import type { Context, Part } from "./context.ts";
import { confirmDialog } from "./dialogs.ts";
import { el, iconButton, rebuild } from "./el.ts";
import { icon } from "./icons.ts";
import { createLog } from "./log.ts";
import { type MenuItem, openMenu } from "./menu.ts";
import { isMember, mayEdit, mayRedact, mayWrite } from "./permissions.ts";
import { nameOf, presenceOf, textOf, typingLine } from "./words.ts";

const symbols = ["👍", "❤️", "😂", "😮", "😢", "🎉"];

/** The open conversation: its head, its log, who types, and where one writes. */
export function createChat(context: Context): Part {
  const { client, views, attempt } = context;
  const composer = createComposer(context);

  const react = (view: View, message: ViewedMessage, symbol: string) => {
    const isMine = message.reactions.some((one) => one.symbol === symbol && one.mine);
    void attempt(() =>
      isMine
        ? client.unreact(view.id, message.seq, symbol)
        : client.react(view.id, message.seq, symbol),
    );
  };
  const redact = async (view: View, message: ViewedMessage) => {
    const text = "Its content is taken away for everybody, for good.";
    if (await confirmDialog("Delete this message?", text, "Delete"))
      await attempt(() => client.redact(view.id, message.seq));
  };
  const readBy = async (view: View, message: ViewedMessage): Promise<string> => {
    if (view.kind === "direct" || message.sender !== view.user) return "";
    const others = memberCount(view) - 1;
    const told = receiptsOf(view, message.seq);
    if (told.of) return `Delivered to ${told.delivered}, read by ${told.read} of ${others}`;
    const { deliveredCount, readCount } = await client.receipts(view.id, message.seq);
    return `Delivered to ${deliveredCount}, read by ${readCount} of ${others}`;
  };
  const menu = (view: View, message: ViewedMessage, opener: HTMLElement) => {
    if (message.redactedSeq) return;
    const items: MenuItem[] = [];
    if (mayWrite(view))
      items.push({ label: "Reply", icon: "reply", run: () => composer.reply(message) });
    if (mayEdit(view, message, client.welcome?.editWindowS ?? 0))
      items.push({ label: "Edit", icon: "edit", run: () => composer.edit(message) });
    items.push({
      label: "Copy text",
      icon: "copy",
      run: () => void attempt(() => navigator.clipboard.writeText(textOf(message))),
    });
    if (mayRedact(view, message))
      items.push({
        label: "Delete",
        icon: "trash",
        isDangerous: true,
        run: () => void redact(view, message),
      });
    openMenu(opener, {
      items,
      symbols: isMember(view)
        ? symbols.map((symbol) => ({
            symbol,
            isPressed: message.reactions.some((one) => one.symbol === symbol && one.mine),
            run: () => react(view, message, symbol),
          }))
        : [],
      note: readBy(view, message).catch(() => ""),
    });
  };
  const log = createLog(context, menu, react);
  const back = iconButton("back", "Back", () => context.show(undefined));
  back.classList.add("back");
  const face = el("span", { className: "face" });
  const title = el("h2");
  const about = el("small", { attributes: { "data-testid": "about" } });
  const info = iconButton("info", "Details", () => context.setDetailed(!context.isDetailed));
  const header = el(
    "header",
    {},
    back,
    el(
      "button",
      {
        type: "button",
        className: "head",
        onclick: () => context.setDetailed(!context.isDetailed),
        attributes: { tabindex: "-1" },
      },
      face,
      el("span", { className: "titles" }, title, about),
    ),
    info,
  );
  const typing = el("div", {
    className: "typing-line",
    attributes: { "data-testid": "typing", "aria-live": "off" },
  });
  const nothing = el(
    "div",
    { className: "nothing" },
    icon("bird"),
    el("h2", {}, "Martlet"),
    el("p", {}, "Choose a conversation, or begin one."),
  );
  const element = el("main", {}, header, log.element, typing, composer.element, nothing);
  let shown: string | undefined;
  let drawn = "";

  const aboutOf = (view: View): string => {
    if (view.kind === "direct")
      return views.blocked.has(view.peer) ? "blocked" : presenceOf(views.presences.get(view.peer));
    const count = memberCount(view);
    return isMember(view) ? `${count} ${count === 1 ? "member" : "members"}` : "no longer a member";
  };
  const drawHeader = (view: View) => {
    const name = nameOf(view);
    const status = view.kind === "direct" ? views.presences.get(view.peer)?.status : undefined;
    const muted = isMuted(view, Date.now());
    const words = JSON.stringify([view.id, name, status, muted]);
    about.textContent = aboutOf(view);
    info.setAttribute("aria-expanded", String(context.isDetailed));
    if (words === drawn) return;
    drawn = words;
    face.replaceChildren(avatar(name, status));
    title.replaceChildren(name, ...(muted ? [icon("mute", "muted")] : []));
  };
  const drawTyping = (users: readonly string[]) => {
    const text = typingLine(users);
    if (typing.dataset.text === text) return;
    typing.dataset.text = text;
    rebuild(
      typing,
      text &&
        el(
          "span",
          { className: "dots", attributes: { "aria-hidden": "true" } },
          el("i"),
          el("i"),
          el("i"),
        ),
      text,
    );
  };
  const render = () => {
    const view = context.open === undefined ? undefined : views.all.get(context.open);
    for (const part of [header, log.element, typing]) part.hidden = !view;
    nothing.hidden = Boolean(view);
    const isOther = shown !== view?.id;
    shown = view?.id;
    composer.render();
    if (!view) {
      title.textContent = "";
      drawn = "";
      log.render();
      return;
    }
    drawHeader(view);
    drawTyping(typingUsers(view, Date.now()));
    log.render();
    if (isOther && matchMedia("(min-width: 48rem)").matches) composer.focus();
    if (!document.hidden && log.isAtEnd() && unreadCount(view) && client.state === "connected")
      views.markRead(view.id);
  };
  return { element, render };
}
