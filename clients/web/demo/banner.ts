import type { Client } from "../src/index.ts";
import { el } from "./el.ts";

/** A connection that is back sooner was hardly gone. */
const patienceMs = 800;

/** Says that the connection is lost, and counts down to the next attempt. */
export function createBanner(client: Client): HTMLElement {
  const text = el("span");
  const now = el("button", { type: "button", onclick: () => client.probe() }, "Try now");
  const element = el(
    "div",
    { className: "banner", hidden: true, attributes: { role: "status", "data-testid": "banner" } },
    text,
    now,
  );
  let until = 0;
  let ticking: ReturnType<typeof setInterval> | undefined;
  let waiting: ReturnType<typeof setTimeout> | undefined;

  const tick = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    const words =
      seconds > 0
        ? `Connection lost. Trying again in ${seconds} s.`
        : "Connection lost. Trying again …";
    if (text.textContent !== words) text.textContent = words;
  };
  client.on("state", ({ state, retryInMs = 0, reason }) => {
    clearInterval(ticking);
    now.hidden = state === "closed";
    if (state === "reconnecting") {
      until = Date.now() + retryInMs;
      tick();
      ticking = setInterval(tick, 250);
      waiting ??= setTimeout(() => {
        element.hidden = false;
      }, patienceMs);
      return;
    }
    clearTimeout(waiting);
    waiting = undefined;
    element.hidden = state !== "closed";
    if (state === "closed") text.textContent = `Signed out${reason ? `: ${reason}` : ""}.`;
  });
  return element;
}
