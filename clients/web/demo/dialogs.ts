import type { Context } from "./context.ts";
import { el, iconButton } from "./el.ts";

/** A modal dialog that is gone when it is closed; focus, Escape and the rest are the browser's. */
function openDialog(title: string, ...children: HTMLElement[]): HTMLDialogElement {
  const dialog = el(
    "dialog",
    { attributes: { "aria-label": title } },
    el(
      "header",
      {},
      el("h2", {}, title),
      iconButton("close", "Close", () => dialog.close()),
    ),
    ...children,
  );
  dialog.onclose = () => dialog.remove();
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close();
  };
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before what cannot be taken back. */
export function confirmDialog(title: string, text: string, action: string): Promise<boolean> {
  return new Promise((resolve) => {
    let isYes = false;
    const no = el("button", { type: "button" }, "Cancel");
    const yes = el("button", { type: "button", className: "danger" }, action);
    const dialog = openDialog(
      title,
      el("p", {}, text),
      el("div", { className: "actions" }, no, yes),
    );
    no.onclick = () => dialog.close();
    yes.onclick = () => {
      isYes = true;
      dialog.close();
    };
    dialog.addEventListener("close", () => resolve(isYes));
    no.focus();
  });
}

/** A form whose fields' values go to `submit`; what fails is told below. */
export function fieldsForm(
  name: string,
  fields: readonly { label: string; name: string; hint?: string; isOptional?: boolean }[],
  submit: (values: string[]) => Promise<void>,
): HTMLFormElement {
  const inputs = fields.map(({ label, name: id, hint = "", isOptional }) => ({
    label,
    input: el("input", {
      name: id,
      required: !isOptional,
      placeholder: hint,
      autocomplete: "off",
      autocapitalize: "off",
    }),
  }));
  const error = el("p", { className: "error", attributes: { role: "alert" } });
  const button = el("button", { type: "submit", className: "primary" }, name);
  const form = el(
    "form",
    { className: "fields" },
    ...inputs.map(({ label, input }) => el("label", {}, label, input)),
    error,
    button,
  );
  form.onsubmit = async (event) => {
    event.preventDefault();
    error.textContent = "";
    button.disabled = true;
    try {
      await submit(inputs.map(({ input }) => input.value.trim()));
      form.reset();
    } catch (failure) {
      error.textContent = failure instanceof Error ? failure.message : String(failure);
    } finally {
      button.disabled = false;
    }
  };
  return form;
}

export const namesIn = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

export function newChatDialog({ client, views, show }: Context): void {
  /** Kept over attempts: the same group again is free. */
  const conversationId = crypto.randomUUID();
  const dialog = openDialog(
    "New chat",
    fieldsForm(
      "Open chat",
      [{ label: "Chat with", name: "peer", hint: "A user’s name" }],
      async ([peer = ""]) => {
        const conversation = await client.openDirect(peer);
        views.add(conversation);
        dialog.close();
        show(conversation.id);
      },
    ),
    el("p", { className: "or" }, "or a group"),
    fieldsForm(
      "Create group",
      [
        { label: "Group's title", name: "title", hint: "Weekend hike" },
        { label: "Members, with commas", name: "members", hint: "alice, bob", isOptional: true },
      ],
      async ([title = "", members = ""]) => {
        const conversation = await client.createGroup(title, namesIn(members), { conversationId });
        views.add(conversation);
        dialog.close();
        show(conversation.id);
      },
    ),
  );
  dialog.querySelector("input")?.focus();
}
