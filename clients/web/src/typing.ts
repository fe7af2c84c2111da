import type { Clock } from "./clock.ts";

/**
 * Says that the user types no oftener than the server wants it repeated, whatever was between, and once that it
 * has stopped.
 */
export interface Typing {
  set(conversationId: string, typing: boolean): void;
  /** A message ends it too: nothing more need be said. */
  sent(conversationId: string): void;
  /** The connection is gone: nobody believes it any more. */
  stop(): void;
}

const repeatMs = 3_000;

/** `tell` is false if it could not be said. */
export function createTyping(
  tell: (conversationId: string, typing: boolean) => boolean,
  clock: Clock,
): Typing {
  const said = new Map<string, { atMs: number; isTyping: boolean }>();
  return {
    set(conversationId, typing) {
      const last = said.get(conversationId);
      if (!typing) {
        if (last?.isTyping) tell(conversationId, false);
        if (last) last.isTyping = false;
      } else if (!last || clock.now() - last.atMs >= repeatMs) {
        if (tell(conversationId, true))
          said.set(conversationId, { atMs: clock.now(), isTyping: true });
      }
    },
    sent(conversationId) {
      const last = said.get(conversationId);
      if (last) last.isTyping = false;
    },
    stop: () => said.clear(),
  };
}
