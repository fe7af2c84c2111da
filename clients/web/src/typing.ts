import type { Clock } from "./clock.ts";

/** Says that the user types no oftener than the server wants it repeated, and once that it has stopped. */
export interface Typing {
  set(conversationId: string, typing: boolean): void;
  /** A message ends it too: nothing more need be said, and the next word begins anew. */
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
  const saidAt = new Map<string, number>();
  return {
    set(conversationId, typing) {
      const last = saidAt.get(conversationId);
      if (!typing) {
        if (saidAt.delete(conversationId)) tell(conversationId, false);
      } else if (last === undefined || clock.now() - last >= repeatMs) {
        if (tell(conversationId, true)) saidAt.set(conversationId, clock.now());
      }
    },
    sent: (conversationId) => void saidAt.delete(conversationId),
    stop: () => saidAt.clear(),
  };
}
