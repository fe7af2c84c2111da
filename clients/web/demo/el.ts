import { type IconName, icon } from "./icons.ts";

type Child = Node | string | undefined | false;
type Properties<K extends keyof HTMLElementTagNameMap> = Partial<
  Omit<HTMLElementTagNameMap[K], "attributes" | "dataset" | "style">
> & { attributes?: Record<string, string> };

/** An element with its properties and children; text is always text. */
export function el<K extends keyof HTMLElementTagNameMap>(
  name: K,
  { attributes, ...properties }: Properties<K> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(name), properties);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

/** A button that is a drawing; its label is what a screen reader and the pointer learn. */
export function iconButton(name: IconName, label: string, onclick: () => void): HTMLButtonElement {
  return el(
    "button",
    {
      type: "button",
      className: "icon-button",
      title: label,
      attributes: { "aria-label": label },
      onclick,
    },
    icon(name),
  );
}

/** New children for an element; the focus stays with the one that has the same `data-focus`. */
export function rebuild(element: HTMLElement, ...children: Child[]): void {
  const focused = document.activeElement;
  const name =
    focused instanceof HTMLElement && element.contains(focused) ? focused.dataset.focus : undefined;
  element.replaceChildren(...children.filter((child) => child !== undefined && child !== false));
  if (name)
    for (const child of element.querySelectorAll<HTMLElement>("[data-focus]"))
      if (child.dataset.focus === name) child.focus({ preventScroll: true });
}
