import { el } from "./el.ts";
import { icon } from "./icons.ts";

/** Who is signed in on this tab; two tabs may be two users. */
export interface Account {
  readonly user: string;
  readonly token: string;
  /** The token was pasted: no other can be had. */
  readonly isPasted: boolean;
}

const key = "martlet.account";

export function savedAccount(): Account | undefined {
  const text = sessionStorage.getItem(key);
  return text ? (JSON.parse(text) as Account) : undefined;
}

function saveAccount(account: Account): Account {
  sessionStorage.setItem(key, JSON.stringify(account));
  return account;
}

export function forgetAccount(): void {
  sessionStorage.removeItem(key);
}

/** The development sign-in; throws in words for a person. */
export async function signIn(user: string): Promise<Account> {
  const answer = await fetch("/dev/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user }),
  });
  if (answer.status === 404)
    throw new Error("This server has no development sign-in. Paste a token instead.");
  if (!answer.ok) throw new Error((await answer.text()).trim());
  const { token } = (await answer.json()) as { token: string };
  return saveAccount({ user, token, isPasted: false });
}

/** The first screen; calls `done` when somebody is signed in. */
export function signInScreen(reason: string, done: (account: Account) => void): HTMLElement {
  const user = el("input", { name: "user", required: true, autocomplete: "username" });
  const token = el("input", { name: "token", autocomplete: "off" });
  const error = el("p", { className: "error", attributes: { role: "alert" } }, reason);
  const form = el(
    "form",
    { className: "sign-in" },
    el("h1", {}, icon("bird"), "Martlet"),
    el("label", {}, "Your name", user),
    el("label", {}, "Token (only where there is no development sign-in)", token),
    el("button", { className: "primary", type: "submit" }, "Sign in"),
    error,
  );
  form.onsubmit = async (event) => {
    event.preventDefault();
    error.textContent = "";
    try {
      const name = user.value.trim();
      const pasted = token.value.trim();
      done(
        pasted ? saveAccount({ user: name, token: pasted, isPasted: true }) : await signIn(name),
      );
    } catch (failure) {
      error.textContent = failure instanceof Error ? failure.message : String(failure);
    }
  };
  queueMicrotask(() => user.focus());
  return form;
}
