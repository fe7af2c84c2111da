import { createClient, type GetToken } from "../src/index.ts";
import { createViews, knownMembers, knowsAllMembers, ownRole, unreadCount } from "../src/view.ts";
import { createBanner } from "./banner.ts";
import { createChat } from "./chat.ts";
import type { Context } from "./context.ts";
import { createDetails } from "./details.ts";
import { el } from "./el.ts";
import { createSidebar } from "./sidebar.ts";
import { type Account, forgetAccount, savedAccount, signIn, signInScreen } from "./sign-in.ts";
import { createToasts } from "./toasts.ts";
import { watchPresence } from "./watch.ts";

const words = {
  idle: "Not connected",
  connecting: "Connecting …",
  connected: "Connected",
  reconnecting: "Reconnecting …",
  closed: "Signed out",
};

function device(): string {
  const key = "martlet.device";
  const known = localStorage.getItem(key) ?? `web-${crypto.randomUUID()}`;
  localStorage.setItem(key, known);
  return known;
}

/** Builds the page, and connects. */
function openPage(url: string, account: Account, getToken: GetToken): Context["client"] {
  const client = createClient({ url, device: device(), getToken });
  const views = createViews(client, account.user);
  const toasts = createToasts();
  const state = el("small", { attributes: { role: "status", "data-testid": "state" } }, words.idle);
  let open: string | undefined;
  let isDetailed = false;
  let isDrawing = false;

  const draw = () => {
    isDrawing = false;
    for (const part of [sidebar, chat, details]) part.render();
    page.classList.toggle("reading", open !== undefined && views.all.has(open));
    page.classList.toggle("detailed", isDetailed && open !== undefined);
    const unread = [...views.all.values()].filter((view) => unreadCount(view)).length;
    document.title = unread ? `(${unread}) Martlet` : "Martlet";
    watch();
  };
  const context: Context = {
    ...{ client, views, user: account.user },
    get open() {
      return open;
    },
    get isDetailed() {
      return isDetailed;
    },
    show(id) {
      open = id;
      const view = id === undefined ? undefined : views.all.get(id);
      if (matchMedia("(max-width: 64rem)").matches) isDetailed = false;
      if (view?.kind === "group" && ownRole(view) && !knowsAllMembers(view))
        void views.loadMembers(view.id).catch(() => {});
      draw();
    },
    setDetailed(next) {
      isDetailed = next;
      draw();
      if (next) details.element.querySelector("button")?.focus();
    },
    refresh() {
      if (isDrawing) return;
      isDrawing = true;
      // A page that nobody sees gets no frames.
      if (document.hidden) setTimeout(draw, 200);
      else requestAnimationFrame(draw);
    },
    async attempt(work) {
      try {
        await work();
        return true;
      } catch (error) {
        toasts.tell(error instanceof Error ? error.message : String(error));
        return false;
      }
    },
  };
  const signOut = () => {
    forgetAccount();
    client.close();
    location.reload();
  };
  const sidebar = createSidebar(context, state, signOut);
  const chat = createChat(context);
  const details = createDetails(context);
  const page = el("div", { className: "app" }, sidebar.element, chat.element, details.element);
  const watch = watchPresence(client, () => {
    const peers = [...views.all.values()].flatMap(({ peer, kind }) =>
      kind === "direct" ? peer : [],
    );
    const view = open === undefined ? undefined : views.all.get(open);
    const members = view?.kind === "group" ? knownMembers(view).map(({ user }) => user) : [];
    return [...peers, ...members].filter((user) => user !== account.user);
  });

  views.on("change", context.refresh);
  client.on("state", ({ state: now }) => {
    state.dataset.state = now;
    state.dataset.node = client.welcome?.node ?? "";
    state.textContent = words[now];
    state.title = client.welcome ? `by ${client.welcome.node}` : "";
    context.refresh();
  });
  let isFirst = true;
  client.on("ready", () => {
    // What another session of this user blocked while this one was away is not told.
    void views.loadBlocked().catch(() => {});
    if (isFirst) void views.loadAll().catch(() => {});
    isFirst = false;
  });
  document.addEventListener("visibilitychange", context.refresh);
  document.body.replaceChildren(createBanner(client), page, toasts.element);
  draw();
  client.connect();
  return client;
}

async function start(account: Account): Promise<void> {
  const { websocket } = (await (await fetch("/martlet.json")).json()) as { websocket: string };
  const client = openPage(websocket, account, async ({ fresh }) => {
    if (!fresh) return savedAccount()?.token ?? account.token;
    if (!account.isPasted) return (await signIn(account.user)).token;
    // While it is connected the old one is still good.
    if (client.state !== "connected") {
      forgetAccount();
      client.close();
      showSignIn("The token is not accepted any more. Paste another one.");
    }
    throw new Error("there is no other token");
  });
  for (const type of ["online", "offline"]) addEventListener(type, () => client.probe());
  addEventListener("pageshow", () => client.probe());
  document.addEventListener("visibilitychange", () => document.hidden || client.probe());
}

function showSignIn(reason: string): void {
  const begin = (account: Account) =>
    void start(account).catch((error: Error) => showSignIn(`No connection: ${error.message}`));
  document.body.replaceChildren(signInScreen(reason, begin));
}

const saved = savedAccount();
if (saved) void start(saved).catch((error: Error) => showSignIn(error.message));
else showSignIn("");
