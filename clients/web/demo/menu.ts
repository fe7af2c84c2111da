import { el } from "./el.ts";
import { type IconName, icon } from "./icons.ts";

export interface MenuItem {
  readonly label: string;
  readonly icon?: IconName;
  readonly isDangerous?: boolean;
  run(): void;
}

export interface MenuContent {
  /** A row above the items: reactions. */
  readonly symbols?: readonly { symbol: string; isPressed: boolean; run(): void }[];
  readonly items: readonly MenuItem[];
  /** What is only to be read. */
  readonly note?: Promise<string>;
}

let close: (() => void) | undefined;

/** One menu at a time, beside what opened it; arrows move, Escape closes and goes back. */
export function openMenu(opener: HTMLElement, { symbols = [], items, note }: MenuContent): void {
  close?.();
  const pick = (run: () => void) => () => {
    end();
    run();
  };
  const row = el(
    "div",
    { className: "symbols", attributes: { role: "group", "aria-label": "React" } },
    ...symbols.map(({ symbol, isPressed, run }) =>
      el("button", {
        type: "button",
        textContent: symbol,
        onclick: pick(run),
        attributes: {
          role: "menuitemcheckbox",
          "aria-checked": String(isPressed),
          "aria-label": `React with ${symbol}`,
        },
      }),
    ),
  );
  const lines = items.map(({ label, icon: name, isDangerous, run }) =>
    el(
      "button",
      {
        type: "button",
        className: isDangerous ? "item danger" : "item",
        onclick: pick(run),
        attributes: { role: "menuitem" },
      },
      name && icon(name),
      label,
    ),
  );
  const foot = el("p", { className: "note" });
  const menu = el(
    "div",
    { className: "menu", attributes: { role: "menu" } },
    symbols.length > 0 && row,
    ...lines,
  );
  void note?.then((text) => {
    foot.textContent = text;
    if (text) menu.append(foot);
    place();
  });

  const place = () => {
    const at = opener.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = menu;
    const isAbove = at.bottom + height + 8 > innerHeight && at.top > height;
    menu.style.left = `${Math.max(8, Math.min(at.right - width, innerWidth - width - 8))}px`;
    menu.style.top = `${isAbove ? at.top - height - 4 : Math.min(at.bottom + 4, innerHeight - height - 8)}px`;
  };
  const outside = (event: Event) => {
    if (event.target instanceof Node && !menu.contains(event.target) && event.target !== opener)
      end();
  };
  const end = () => {
    if (close !== end) return;
    close = undefined;
    const hadFocus = menu.contains(document.activeElement);
    menu.remove();
    opener.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside);
    if (hadFocus && opener.isConnected) opener.focus({ preventScroll: true });
  };
  menu.onkeydown = (event) => {
    const all = [...menu.querySelectorAll("button")];
    const index = all.indexOf(document.activeElement as HTMLButtonElement);
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (step) all.at((index + step) % all.length)?.focus();
    else if (event.key === "Escape" || event.key === "Tab") end();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  close = end;
  opener.setAttribute("aria-expanded", "true");
  // Within a modal dialog or not, it must lie above all.
  document.body.append(menu);
  document.addEventListener("pointerdown", outside);
  place();
  menu.querySelector("button")?.focus({ preventScroll: true });
}
