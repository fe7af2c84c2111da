import { el } from "./el.ts";

const hues = 8;

/** The same name has the same colour everywhere. */
export function hueOf(name: string): string {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return `hue-${hash % hues}`;
}

export type PresenceDot = "online" | "away" | "offline" | undefined;

/** Initials in a colour, with a dot for who is there. */
export function avatar(name: string, dot?: PresenceDot): HTMLElement {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const initials = words
    .slice(0, 2)
    .map((word) => [...word][0]?.toUpperCase() ?? "")
    .join("");
  return el(
    "span",
    { className: `avatar ${hueOf(name)}`, attributes: { "aria-hidden": "true" } },
    initials || "?",
    (dot === "online" || dot === "away") && el("span", { className: `dot ${dot}` }),
  );
}
