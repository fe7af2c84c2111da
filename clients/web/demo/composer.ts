import { knownMembers, type View, type ViewedMessage } from "../src/view.ts";
import type { Context, Part } from "./context.ts";
import { el, iconButton } from "./el.ts";
import { icon } from "./icons.ts";
import { quote } from "./message.ts";
import { isMember, mayWrite } from "./permissions.ts";
import { textOf } from "./words.ts";

export interface Composer extends Part {
  reply(message: ViewedMessage): void;
  edit(message: ViewedMessage): void;
  focus(): void;
}

/** What is being written in one conversation, kept while another one is open. */
interface Draft {
  text: string;
  replyTo: ViewedMessage | undefined;
  editing: ViewedMessage | undefined;
}

const suggestionsMost = 6;

/** The members whom a text names with an @. */
function mentionsIn(text: string, view: View): string[] {
  const names = new Set([...text.matchAll(/@([\w.~@-]*[\w~])/g)].map(([, name = ""]) => name));
  const known = new Set([...knownMembers(view).map(({ user }) => user), view.peer]);
  return [...names].filter((name) => known.has(name)).slice(0, 50);
}

export function createComposer(context: Context): Composer {
  const { client, views, attempt } = context;
  const drafts = new Map<string, Draft>();
  const input = el("textarea", { name: "text", rows: 1, maxLength: 4000, placeholder: "Message" });
  input.setAttribute("aria-label", "Message");
  const about = el("div", { className: "about", hidden: true });
  const suggestions = el("ul", {
    className: "suggestions",
    hidden: true,
    id: "suggestions",
    attributes: { role: "listbox", "aria-label": "Mention" },
  });
  input.setAttribute("aria-controls", suggestions.id);
  const send = el(
    "button",
    {
      className: "primary round",
      type: "submit",
      title: "Send",
      attributes: { "aria-label": "Send" },
    },
    icon("send"),
  );
  const form = el(
    "form",
    { className: "composer" },
    about,
    suggestions,
    el("div", { className: "line" }, input, send),
  );
  const note = el("div", { className: "composer-note", hidden: true });
  const element = el("div", { className: "composer-frame" }, form, note);
  let shown: string | undefined;
  let toldWhy = "";

  const view = () => (context.open === undefined ? undefined : views.all.get(context.open));
  const draftOf = (id: string): Draft => {
    const draft = drafts.get(id) ?? { text: "", replyTo: undefined, editing: undefined };
    drafts.set(id, draft);
    return draft;
  };
  const fit = () => {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight + 2, 160)}px`;
  };
  const write = (text: string) => {
    input.value = text;
    fit();
  };
  const drawAbout = (open: View, { replyTo, editing }: Draft) => {
    const message = editing ?? replyTo;
    about.hidden = !message;
    if (!message) return about.replaceChildren();
    about.replaceChildren(
      icon(editing ? "edit" : "reply"),
      quote(open, message.seq),
      iconButton("close", editing ? "Stop editing" : "Do not reply", cancel),
    );
  };
  const redraw = () => {
    const open = view();
    if (open) drawAbout(open, draftOf(open.id));
  };
  const cancel = () => {
    const open = view();
    if (!open) return;
    const draft = draftOf(open.id);
    if (draft.editing) write("");
    draft.replyTo = draft.editing = undefined;
    redraw();
    input.focus();
  };

  /** The word with an @ that is being written, if it is one. */
  const wordAtCaret = () => /(?:^|\s)@([\w.~-]*)$/.exec(input.value.slice(0, input.selectionEnd));
  const suggest = () => {
    const open = view();
    const word = wordAtCaret();
    const names =
      open && word && open.kind === "group"
        ? knownMembers(open)
            .map(({ user }) => user)
            .filter((user) => user !== open.user && user.startsWith(word[1] ?? ""))
            .slice(0, suggestionsMost)
        : [];
    suggestions.hidden = !names.length;
    suggestions.replaceChildren(
      ...names.map((name, i) =>
        el(
          "li",
          {
            id: `suggestion-${i}`,
            attributes: { role: "option", "aria-selected": String(i === 0) },
            onpointerdown: (event) => {
              event.preventDefault();
              complete(name);
            },
          },
          `@${name}`,
        ),
      ),
    );
    point();
  };
  const chosen = () => suggestions.querySelector<HTMLElement>("[aria-selected=true]");
  const point = () => {
    const one = suggestions.hidden ? undefined : chosen();
    if (one) input.setAttribute("aria-activedescendant", one.id);
    else input.removeAttribute("aria-activedescendant");
  };
  const choose = (step: number) => {
    const all = [...suggestions.children];
    const index = all.indexOf(chosen() as Element);
    const next = all.at((index + step) % all.length);
    for (const one of all) one.setAttribute("aria-selected", String(one === next));
    point();
  };
  const complete = (name: string) => {
    const word = wordAtCaret();
    if (!word) return;
    const start = input.selectionEnd - (word[1] ?? "").length;
    input.setRangeText(`${name} `, start, input.selectionEnd, "end");
    suggest();
  };

  const submit = () => {
    const open = view();
    const text = input.value;
    if (!open || !text.trim()) return;
    const draft = draftOf(open.id);
    const { editing, replyTo } = draft;
    const mentions = mentionsIn(text, open);
    if (editing) void attempt(() => client.edit(open.id, editing.seq, text, { mentions }));
    else views.send(open.id, text, { mentions, replyToSeq: replyTo?.seq ?? 0 });
    draft.replyTo = draft.editing = undefined;
    draft.text = "";
    write("");
    suggest();
    redraw();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    submit();
  };
  input.oninput = () => {
    fit();
    suggest();
    const open = view();
    if (open) client.setTyping(open.id, input.value !== "" && !draftOf(open.id).editing);
  };
  input.onblur = () => {
    const open = view();
    if (open) client.setTyping(open.id, false);
    suggestions.hidden = true;
  };
  input.onkeydown = (event) => {
    if (event.isComposing) return;
    const isSuggesting = !suggestions.hidden;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (isSuggesting && step) choose(step);
    else if (isSuggesting && (event.key === "Enter" || event.key === "Tab"))
      complete((chosen()?.textContent ?? "").slice(1));
    else if (event.key === "Enter" && !event.shiftKey) submit();
    else if (event.key === "Escape" && isSuggesting) suggestions.hidden = true;
    else if (event.key === "Escape" && !about.hidden) cancel();
    else return;
    event.preventDefault();
  };

  const whyNot = (open: View): (Node | string)[] | undefined => {
    if (!isMember(open)) return ["You are no longer a member of this group."];
    if (!mayWrite(open)) return ["Only admins can write here."];
    if (open.kind === "group" || !views.blocked.has(open.peer)) return undefined;
    const unblock = el(
      "button",
      { type: "button", onclick: () => void attempt(() => client.unblock(open.peer)) },
      "Unblock",
    );
    return [`You blocked ${open.peer}. `, unblock];
  };
  const render = () => {
    const open = view();
    element.hidden = !open;
    if (shown !== open?.id) {
      if (shown !== undefined) {
        draftOf(shown).text = input.value;
        client.setTyping(shown, false);
      }
      shown = open?.id;
      suggestions.hidden = true;
      if (open) {
        write(draftOf(open.id).text);
        redraw();
      }
    }
    if (!open) return;
    const reasons = whyNot(open);
    form.hidden = Boolean(reasons);
    note.hidden = !reasons;
    const words = `${open.id} ${reasons?.map(String).join("") ?? ""}`;
    if (words !== toldWhy) note.replaceChildren(...(reasons ?? []));
    toldWhy = words;
  };
  return {
    element,
    render,
    focus: () => input.focus(),
    reply(message) {
      const open = view();
      if (!open) return;
      Object.assign(draftOf(open.id), { replyTo: message, editing: undefined });
      redraw();
      input.focus();
    },
    edit(message) {
      const open = view();
      if (!open) return;
      Object.assign(draftOf(open.id), { replyTo: undefined, editing: message });
      write(textOf(message));
      redraw();
      input.focus();
    },
  };
}
