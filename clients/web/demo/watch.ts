import type { Client } from "../src/index.ts";

/** Hidden for so long, its user is away. */
const awayMs = 60_000;

/**
 * Watches the presence of those whom the page shows, as they become so, and says whether its own user looks
 * at it. Returns what is to be called after each change.
 */
export function watchPresence(client: Client, wanted: () => readonly string[]): () => void {
  const watched = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const quietly = (work: Promise<unknown>) => void work.catch(() => {});

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) quietly(client.setPresence("online"));
    else timer = setTimeout(() => quietly(client.setPresence("away")), awayMs);
  });
  return () => {
    const room = (client.welcome?.watchedUsers ?? 0) - watched.size;
    const fresh = [...new Set(wanted())].filter((user) => !watched.has(user)).slice(0, room);
    if (!fresh.length) return;
    for (const user of fresh) watched.add(user);
    quietly(client.watchPresence(fresh));
  };
}
