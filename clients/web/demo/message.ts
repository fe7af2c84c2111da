import { type Pending, receiptsOf, type View, type ViewedMessage } from "../src/view.ts";
import { avatar, hueOf } from "./avatar.ts";
import { el, iconButton } from "./el.ts";
import { icon } from "./icons.ts";
import { exactTimeOf, textOf, timeOf } from "./words.ts";

/** A text with its mentions marked: each is what follows an @. */
function mentioning(text: string, mentions: readonly string[], user: string): (Node | string)[] {
  if (!mentions.length) return [text];
  const known = new Set(mentions);
  return text.split(/(@[\w.~@-]*[\w~])/).map((part) => {
    const name = part.slice(1);
    if (!part.startsWith("@") || !known.has(name)) return part;
    return el("mark", { className: name === user ? "mention me" : "mention" }, part);
  });
}

/** One tick is sent, two are delivered to all, two in colour are read by all. */
function ticks(view: View, message: ViewedMessage): Node {
  const { delivered, read, of } = receiptsOf(view, message.seq);
  const name = of && read === of ? "read" : of && delivered === of ? "delivered" : "sent";
  const ticks = icon(name === "sent" ? "sent" : "both", name);
  ticks.classList.add("ticks", name);
  ticks.setAttribute("data-testid", "ticks");
  return ticks;
}

export interface MessageActions {
  jump(seq: number): void;
  menu(message: ViewedMessage, opener: HTMLElement): void;
  react(message: ViewedMessage, symbol: string): void;
}

/** The quoted beginning of what a message answers. */
export function quote(view: View, seq: number, jump?: (seq: number) => void): HTMLElement {
  const answered = view.entries.find((entry) => entry.seq === seq);
  const message = answered?.kind === "message" ? answered : undefined;
  const who = message?.sender === view.user ? "You" : (message?.sender ?? "");
  const text = !message
    ? "An earlier message"
    : message.redactedSeq
      ? "Message deleted"
      : textOf(message);
  return el(
    jump ? "button" : "div",
    {
      className: `quote ${message ? hueOf(message.sender) : ""}`,
      attributes: { "data-focus": "quote" },
      ...(jump && { onclick: () => jump(seq) }),
    },
    who && el("strong", {}, who),
    el("span", {}, text.slice(0, 200)),
  );
}

/** What stands in a message's place in the log. */
export function messageParts(
  view: View,
  message: ViewedMessage,
  isFirst: boolean,
  actions: MessageActions,
): (Node | undefined | false)[] {
  const { sender, redactedSeq, replyToSeq, editedSeq, reactions, mentions } = message;
  const isMine = sender === view.user;
  const more = iconButton("more", "Message actions", () => actions.menu(message, more));
  more.setAttribute("aria-haspopup", "menu");
  more.dataset.focus = "more";
  more.tabIndex = -1;
  const text = redactedSeq
    ? el(
        "span",
        { className: "text deleted", attributes: { "data-testid": "text" } },
        icon("block"),
        " Message deleted",
      )
    : el(
        "span",
        { className: "text", attributes: { "data-testid": "text" } },
        ...mentioning(textOf(message), mentions, view.user),
      );
  const meta = el(
    "span",
    { className: "meta" },
    editedSeq > 0 && "edited ",
    el("time", { title: exactTimeOf(message.timeMs) }, timeOf(message.timeMs)),
    isMine && !redactedSeq && ticks(view, message),
  );
  const chips = reactions.map(({ symbol, count, mine }) =>
    el(
      "button",
      {
        type: "button",
        className: "chip",
        onclick: () => actions.react(message, symbol),
        attributes: {
          "aria-pressed": String(mine),
          "aria-label": `${symbol}, ${count}`,
          "data-focus": `react ${symbol}`,
          "data-testid": "reaction",
        },
      },
      symbol,
      el("span", {}, `${count}`),
    ),
  );
  const bubble = el(
    "div",
    { className: "bubble" },
    isFirst &&
      !isMine &&
      view.kind === "group" &&
      el("span", { className: `sender ${hueOf(sender)}` }, sender),
    replyToSeq > 0 && !redactedSeq && quote(view, replyToSeq, actions.jump),
    text,
    meta,
  );
  return [
    el("span", { className: "hidden-text" }, `${isMine ? "You" : sender}: `),
    !isMine &&
      view.kind === "group" &&
      (isFirst ? avatar(sender) : el("span", { className: "avatar none" })),
    bubble,
    !redactedSeq && more,
    chips.length > 0 && el("div", { className: "chips" }, ...chips),
  ];
}

/** A message that the server does not have yet, or has refused. */
export function pendingParts(
  view: View,
  { message, failure }: Pending,
  again: () => void,
  discard: () => void,
): (Node | undefined | false)[] {
  const clock = icon("clock", "waiting to be sent");
  clock.classList.add("ticks");
  return [
    el(
      "div",
      { className: "bubble" },
      message.replyToSeq > 0 && quote(view, message.replyToSeq),
      el(
        "span",
        { className: "text" },
        ...mentioning(textOf(message), message.mentions, view.user),
      ),
      el("span", { className: "meta" }, failure ? icon("alert") : clock),
    ),
    Boolean(failure) &&
      el(
        "div",
        { className: "failure" },
        `Not sent: ${failure}`,
        el("button", { type: "button", onclick: again }, "Send again"),
        el("button", { type: "button", onclick: discard }, "Discard"),
      ),
  ];
}
