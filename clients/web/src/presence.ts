import { MartletError } from "./errors.ts";
import type { Presence, PresenceStatus } from "./model.ts";
import type { Persistence } from "./persist.ts";

/** What a session forgets and the client remembers: whom it watches, and that its user is away. */
export interface Presences {
  watch(users: readonly string[]): Promise<readonly Presence[]>;
  unwatch(users: readonly string[]): Promise<void>;
  set(status: Exclude<PresenceStatus, "offline">): Promise<void>;
  /** Connected: says all of it again. */
  start(): void;
}

export interface PresencesOptions {
  readonly persistence: Persistence;
  watch(users: readonly string[]): Promise<readonly Presence[]>;
  unwatch(users: readonly string[]): Promise<void>;
  set(status: PresenceStatus): Promise<void>;
  onPresence(presence: Presence): void;
}

/** What one command may name. */
const usersMost = 100;

export function createPresences(options: PresencesOptions): Presences {
  const watched = new Set<string>();
  let status: PresenceStatus = "online";

  const inParts = async (
    users: readonly string[],
    ask: (part: readonly string[]) => Promise<unknown>,
  ) => {
    for (let i = 0; i < users.length; i += usersMost) await ask(users.slice(i, i + usersMost));
  };
  const watch = async (users: readonly string[]) => {
    const all: Presence[] = [];
    await inParts(users, async (part) => {
      const presences = await options.watch(part);
      all.push(...presences);
      presences.forEach(options.onPresence);
    });
    return all;
  };
  /** Asked again unless the server will never say yes. */
  const again = (work: () => Promise<unknown>) =>
    options.persistence.run(async () => {
      await work().catch((error: unknown) => {
        if (error instanceof MartletError && (error.retryable || error.code === "CLOSED"))
          throw error;
      });
    });
  return {
    async watch(users) {
      const added = users.filter((user) => !watched.has(user));
      for (const user of users) watched.add(user);
      try {
        return await watch(users);
      } catch (error) {
        const failure = error instanceof MartletError ? error : undefined;
        // Refused, not merely not answered: it would be refused again.
        if (!failure?.retryable && failure?.code !== "CLOSED")
          for (const user of added) watched.delete(user);
        throw error;
      }
    },
    unwatch(users) {
      for (const user of users) watched.delete(user);
      return inParts(users, options.unwatch);
    },
    set(next) {
      status = next;
      return options.set(next);
    },
    start() {
      // A session begins as there.
      if (status !== "online") again(() => options.set(status));
      if (watched.size) again(() => watch([...watched]));
    },
  };
}
