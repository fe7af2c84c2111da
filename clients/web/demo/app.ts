import { type Client, createClient } from "../src/index.ts";
import { el } from "./el.ts";
import { reconcile } from "./reconcile.ts";
import { type Account, forgetAccount, savedAccount, signIn, signInScreen } from "./sign-in.ts";
import { createStore, type Store } from "./store.ts";
import { conversationList, messageList, nameOf } from "./views.ts";

const words = {
  idle: "Not connected",
  connecting: "Connecting …",
  connected: "Connected",
  reconnecting: "Connection lost, trying again …",
  closed: "Signed out",
};

function device(): string {
  const key = "martlet.device";
  const known = localStorage.getItem(key) ?? `web-${crypto.randomUUID()}`;
  localStorage.setItem(key, known);
  return known;
}

/** A form of the side panel: its fields' values go to `submit`, and what fails is told below. */
function panelForm(
  name: string,
  fields: readonly [string, string][],
  submit: (values: string[]) => Promise<void>,
): HTMLElement {
  const inputs = fields.map(
    ([label, id]) => [label, el("input", { name: id, required: true })] as const,
  );
  const error = el("p", { className: "error", attributes: { role: "alert" } });
  const form = el(
    "form",
    {},
    ...inputs.map(([label, input]) => el("label", {}, label, input)),
    el("button", { type: "submit" }, name),
    error,
  );
  form.onsubmit = async (event) => {
    event.preventDefault();
    error.textContent = "";
    try {
      await submit(inputs.map(([, input]) => input.value.trim()));
      form.reset();
    } catch (failure) {
      error.textContent = failure instanceof Error ? failure.message : String(failure);
    }
  };
  return form;
}

/** Changes a list that is scrolled: at its end it follows, elsewhere what one reads stays where it is. */
function keepPlace(log: HTMLElement, isOther: boolean, change: () => void): void {
  const atEnd = isOther || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const top = log.getBoundingClientRect().top;
  const read = [...log.querySelectorAll("[data-seq]")].find(
    (view) => view.getBoundingClientRect().bottom > top,
  );
  const before = read?.getBoundingClientRect().top ?? 0;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
  else if (read?.isConnected) log.scrollTop += read.getBoundingClientRect().top - before;
}

function chat(client: Client, account: Account): HTMLElement[] {
  const state = el("span", { attributes: { role: "status", "data-testid": "state" } }, words.idle);
  const list = el("ul");
  const title = el("h2");
  const log = el("div", { className: "log", attributes: { role: "log", "aria-live": "polite" } });
  const input = el("input", { name: "text", autocomplete: "off", maxLength: 4000 });
  input.setAttribute("aria-label", "Message");
  const composer = el(
    "form",
    { className: "composer" },
    input,
    el("button", { className: "primary", type: "submit" }, "Send"),
  );
  const back = el("button", { className: "back" }, "Back");
  const header = el("header", {}, back, title);
  const main = el("main", {}, header, log, composer);
  const out = el("button", {}, "Sign out");
  let shown: string | undefined;

  const render = () => {
    const thread = store.open === undefined ? undefined : store.threads.get(store.open);
    const isOther = shown !== store.open;
    reconcile(list, conversationList(store));
    header.hidden = composer.hidden = !thread;
    title.textContent = thread ? nameOf(thread) : "";
    keepPlace(log, isOther, () => {
      const empty = () => el("p", { className: "empty" }, "Choose a conversation, or begin one.");
      reconcile(
        log,
        thread ? messageList(store, thread, account.user) : [{ key: "", make: empty }],
      );
    });
    page.classList.toggle("reading", Boolean(thread));
    if (isOther && thread) input.focus();
    shown = store.open;
  };
  const store: Store = createStore(client, account.user, render);
  const open = (id: string) => store.show(id);
  const page = el(
    "div",
    { className: "app" },
    el(
      "aside",
      {},
      list,
      panelForm("Open chat", [["Chat with", "peer"]], async ([peer = ""]) => {
        const conversation = await client.openDirect(peer);
        store.add(conversation);
        open(conversation.id);
      }),
      panelForm(
        "Create group",
        [
          ["Group's title", "title"],
          ["Members, with commas", "members"],
        ],
        async ([name = "", members = ""]) => {
          const conversation = await client.createGroup(
            name,
            members.split(/[\s,]+/).filter(Boolean),
          );
          store.add(conversation);
          open(conversation.id);
        },
      ),
    ),
    main,
  );
  back.onclick = () => store.show(undefined);
  out.onclick = () => {
    forgetAccount();
    client.close();
    location.reload();
  };
  composer.onsubmit = (event) => {
    event.preventDefault();
    if (store.open !== undefined && input.value) store.send(store.open, input.value);
    input.value = "";
  };
  client.on("state", ({ state: now, reason }) => {
    state.dataset.state = now;
    state.dataset.node = client.welcome?.node ?? "";
    const where = now === "connected" ? ` to ${client.welcome?.node} as ${account.user}` : "";
    state.textContent = words[now] + where + (now === "closed" && reason ? `: ${reason}` : "");
  });
  render();
  return [el("div", { className: "bar" }, el("strong", {}, "Martlet"), state, out), page];
}

async function start(account: Account): Promise<void> {
  const { websocket } = (await (await fetch("/martlet.json")).json()) as { websocket: string };
  const client = createClient({
    url: websocket,
    device: device(),
    async getToken({ fresh }) {
      if (!fresh) return savedAccount()?.token ?? account.token;
      if (!account.isPasted) return (await signIn(account.user)).token;
      // While it is connected the old one is still good.
      if (client.state !== "connected") {
        forgetAccount();
        client.close();
        showSignIn("The token is not accepted any more. Paste another one.");
      }
      throw new Error("there is no other token");
    },
  });
  document.body.replaceChildren(...chat(client, account));
  addEventListener("online", () => client.probe());
  addEventListener("pageshow", () => client.probe());
  document.addEventListener("visibilitychange", () => document.hidden || client.probe());
  client.connect();
}

function showSignIn(reason: string): void {
  const begin = (account: Account) =>
    void start(account).catch((error: Error) => showSignIn(`No connection: ${error.message}`));
  document.body.replaceChildren(signInScreen(reason, begin));
}

const saved = savedAccount();
if (saved) void start(saved).catch((error: Error) => showSignIn(error.message));
else showSignIn("");
