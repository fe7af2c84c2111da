/** The log of the open conversation: days, messages, notices, what is new and what waits. */
import { type Entry, newestEntries, type View, type ViewedMessage } from "../src/view.ts";
import type { Context, Part } from "./context.ts";
import { el, rebuild } from "./el.ts";
import { icon } from "./icons.ts";
import { messageParts, pendingParts } from "./message.ts";
import { type View as Row, reconcile } from "./reconcile.ts";
import { dayOf, isSameDay, noticeLine } from "./words.ts";

export interface LogPart extends Part {
  /** The newest event is on the screen. */
  isAtEnd(): boolean;
  toEnd(): void;
}

/** Messages of one sender this near to each other stand together. */
const groupMs = 5 * 60_000;
const nearEnd = 40;

/** Changes a list that is scrolled: at its end it follows, elsewhere what one reads stays where it is. */
function keepPlace(log: HTMLElement, toEnd: boolean, change: () => void): void {
  const atEnd = toEnd || log.scrollHeight - log.scrollTop - log.clientHeight < nearEnd;
  const top = log.getBoundingClientRect().top;
  const read = atEnd
    ? undefined
    : [...log.querySelectorAll("[data-seq]")].find(
        (view) => view.getBoundingClientRect().bottom > top,
      );
  const before = read?.getBoundingClientRect().top ?? 0;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
  else if (read?.isConnected) log.scrollTop += read.getBoundingClientRect().top - before;
}

/** What each line was drawn from: drawn again only if that is another. */
const drawn = new WeakMap<HTMLElement, unknown[]>();
const isDrawn = (element: HTMLElement, from: unknown[]): boolean => {
  const known = drawn.get(element);
  drawn.set(element, from);
  return known !== undefined && from.every((one, i) => one === known[i]);
};

const follows = (before: Entry | undefined, entry: ViewedMessage): boolean =>
  before?.kind === "message" &&
  before.sender === entry.sender &&
  entry.timeMs - before.timeMs < groupMs &&
  isSameDay(before.timeMs, entry.timeMs);

export function createLog(
  context: Context,
  openMenu: (view: View, message: ViewedMessage, opener: HTMLElement) => void,
  react: (view: View, message: ViewedMessage, symbol: string) => void,
): LogPart {
  const { views } = context;
  const log = el("div", {
    className: "log",
    attributes: { role: "log", "aria-live": "polite", "aria-label": "Messages" },
  });
  const below = el("span", { className: "badge", hidden: true });
  const down = el(
    "button",
    {
      type: "button",
      className: "to-end",
      hidden: true,
      title: "To the newest message",
      attributes: { "aria-label": "To the newest message" },
      onclick: () => toEnd(),
    },
    icon("down"),
    below,
  );
  const element = el("div", { className: "log-frame" }, log, down);
  let shown: string | undefined;
  /** Where the user had read when the conversation was opened: the line of what is new stays there. */
  let newAfter = 0;
  let failure = "";
  let askedFor = 0;

  const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < nearEnd;
  const toEnd = () => {
    log.scrollTop = log.scrollHeight;
  };
  const loadOlder = async (id: string) => {
    try {
      await views.loadOlder(id);
      failure = "";
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    context.refresh();
  };
  const jump = (seq: number) => {
    const target = log.querySelector<HTMLElement>(`[data-seq="${seq}"]`);
    target?.scrollIntoView({ block: "center" });
    target?.classList.remove("found");
    requestAnimationFrame(() => target?.classList.add("found"));
  };
  const actionsFor = (id: string) => {
    const withView = (run: (view: View) => void) => {
      const view = views.all.get(id);
      if (view) run(view);
    };
    return {
      jump,
      menu: (message: ViewedMessage, opener: HTMLElement) =>
        withView((view) => openMenu(view, message, opener)),
      react: (message: ViewedMessage, symbol: string) =>
        withView((view) => react(view, message, symbol)),
    };
  };

  const messageRow = (view: View, entry: ViewedMessage, before: Entry | undefined): Row => ({
    key: `${view.id} ${entry.seq}`,
    make: () => {
      const row = el("div", { attributes: { "data-testid": "message" } });
      row.dataset.seq = String(entry.seq);
      return row;
    },
    update(row) {
      const isFirst = !follows(before, entry);
      const isMine = entry.sender === view.user;
      const answered = entry.replyToSeq
        ? view.entries.find(({ seq }) => seq === entry.replyToSeq)
        : undefined;
      if (isDrawn(row, [entry, isFirst, answered, isMine && view.receipts])) return;
      row.className = `message${isMine ? " mine" : ""}${isFirst ? " first" : ""}${
        view.kind === "group" ? " in-group" : ""
      }`;
      rebuild(row, ...messageParts(view, entry, isFirst, actionsFor(view.id)));
    },
  });
  const line = (key: string, className: string, text: string, role = ""): Row => ({
    key,
    make: () => el("p", { className, ...(role && { attributes: { role } }) }, text),
    update(row) {
      if (row.textContent !== text) row.textContent = text;
    },
  });
  const entryRows = (view: View, entries: readonly Entry[]): Row[] => {
    const firstNew = entries.find(
      ({ seq, kind, sender }) => seq > newAfter && kind === "message" && sender !== view.user,
    );
    return entries.flatMap((entry, i) => {
      const before = entries[i - 1];
      const rows: Row[] = [];
      if (!before || !isSameDay(before.timeMs, entry.timeMs)) {
        const day = new Date(entry.timeMs).toDateString();
        rows.push(line(`${view.id} ${day}`, "day", dayOf(entry.timeMs), "separator"));
      }
      if (newAfter && entry === firstNew)
        rows.push(line(`${view.id} new`, "new", "New messages", "separator"));
      if (entry.kind === "message")
        rows.push(messageRow(view, entry, rows.length ? undefined : before));
      else
        rows.push({
          ...line(`${view.id} ${entry.seq}`, "notice", noticeLine(entry, view)),
          make: () =>
            el(
              "p",
              { className: "notice", attributes: { "data-testid": "notice" } },
              noticeLine(entry, view),
            ),
        });
      return rows;
    });
  };
  const pendingRows = (view: View): Row[] =>
    view.pending.map((pending) => {
      const { clientMessageId } = pending.message;
      return {
        key: `${view.id} ${clientMessageId}`,
        make: () => el("div", { attributes: { "data-testid": "draft" } }),
        update(row) {
          if (isDrawn(row, [pending])) return;
          row.className = pending.failure ? "message mine first failed" : "message mine first";
          rebuild(
            row,
            ...pendingParts(
              view,
              pending,
              () => views.sendAgain(view.id, clientMessageId),
              () => views.discard(view.id, clientMessageId),
            ),
          );
        },
      };
    });
  const olderRow = (view: View, hasAny: boolean): Row => ({
    key: `${view.id} older ${hasAny} ${failure}`,
    make() {
      const load = () => void loadOlder(view.id);
      if (failure)
        return el(
          "div",
          { className: "trouble" },
          el("p", {}, `The messages could not be loaded: ${failure}`),
          el("button", { type: "button", onclick: load }, "Try again"),
        );
      if (!hasAny)
        return el(
          "div",
          { className: "loading", attributes: { "aria-label": "Loading" } },
          ...Array.from({ length: 5 }, () => el("span")),
        );
      return el(
        "button",
        {
          type: "button",
          className: "older",
          onclick: load,
          attributes: { "data-testid": "older" },
        },
        "Load older",
      );
    },
  });
  const open = (view: View) => {
    shown = view.id;
    failure = "";
    askedFor = 0;
    newAfter = view.readSeq < view.lastSeq ? view.readSeq : 0;
    const { entries } = newestEntries(view);
    if (entries.length < 20) void loadOlder(view.id);
  };
  const setTabStop = () => {
    const all = [...log.querySelectorAll<HTMLElement>("[data-focus=more]")];
    if (all.some((one) => one.tabIndex === 0)) return;
    const last = all.at(-1);
    if (last) last.tabIndex = 0;
  };

  log.onscroll = () => {
    const view = context.open === undefined ? undefined : views.all.get(context.open);
    down.hidden = isAtEnd();
    if (!view) return;
    if (isAtEnd()) context.refresh();
    if (log.scrollTop < 300 && newestEntries(view).hasOlder && !failure) void loadOlder(view.id);
  };
  // One stop for the tab key, and the arrows from message to message.
  log.onkeydown = (event) => {
    const from = event.target as HTMLElement;
    if (from.dataset.focus !== "more") return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    const all = [...log.querySelectorAll<HTMLElement>("[data-focus=more]")];
    const next = all[all.indexOf(from) + step];
    event.preventDefault();
    if (!next) return;
    from.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
  const render = () => {
    const view = context.open === undefined ? undefined : views.all.get(context.open);
    if (!view) {
      shown = undefined;
      return log.replaceChildren();
    }
    const isOther = shown !== view.id;
    if (isOther) open(view);
    const { entries, from, hasOlder } = newestEntries(view);
    // After a gap, not even the newest is here. Once: what does not help would be asked for with every frame.
    if (from === undefined && hasOlder && !isOther && !failure && askedFor !== view.lastSeq) {
      askedFor = view.lastSeq;
      void loadOlder(view.id);
    }
    keepPlace(log, isOther, () =>
      reconcile(log, [
        ...(hasOlder ? [olderRow(view, entries.length > 0)] : []),
        ...entryRows(view, entries),
        ...pendingRows(view),
      ]),
    );
    down.hidden = isAtEnd();
    setTabStop();
    const unseen = entries.filter(
      ({ seq, kind, sender }) => kind === "message" && sender !== view.user && seq > view.readSeq,
    ).length;
    below.hidden = !unseen;
    below.textContent = String(unseen);
  };
  return { element, render, isAtEnd, toEnd };
}
