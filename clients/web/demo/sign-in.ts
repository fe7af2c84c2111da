import { el } from "./el.ts";

/** Who is signed in on this tab; two tabs may be two users. */
export interface Account {
  readonly user: string;
  readonly token: string;
}

const key = "martlet.account";

export function savedAccount(): Account | undefined {
  const text = sessionStorage.getItem(key);
  return text ? (JSON.parse(text) as Account) : undefined;
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
  const account = { user, token };
  sessionStorage.setItem(key, JSON.stringify(account));
  return account;
}

/** The first screen; calls `done` when somebody is signed in. */
export function signInScreen(reason: string, done: (account: Account) => void): HTMLElement {
  const user = el("input", { name: "user", required: true, autocomplete: "username" });
  const token = el("input", { name: "token", autocomplete: "off" });
  const error = el("p", { className: "error", attributes: { role: "alert" } }, reason);
  const form = el(
    "form",
    { className: "sign-in" },
    el("h1", {}, "Martlet"),
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
      done(token.value ? { user: name, token: token.value.trim() } : await signIn(name));
    } catch (failure) {
      error.textContent = failure instanceof Error ? failure.message : String(failure);
    }
  };
  queueMicrotask(() => user.focus());
  return form;
}
