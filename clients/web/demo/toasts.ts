import { el } from "./el.ts";

const shownMs = 6_000;

/** Short words about what did not work; read out, and gone by themselves. */
export function createToasts(): { element: HTMLElement; tell(text: string): void } {
  const element = el("div", { className: "toasts", attributes: { role: "alert" } });
  return {
    element,
    tell(text) {
      const toast = el("p", {}, text);
      element.append(toast);
      setTimeout(() => toast.remove(), shownMs);
    },
  };
}
