/** Time, given from outside so that tests can turn it. */
export interface Clock {
  now(): number;
  setTimeout(run: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** What a timer can hold; beyond it JavaScript fires at once, and a server's odd delay would be a storm. */
const mostMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (run, delayMs) => setTimeout(run, Math.min(delayMs, mostMs)),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

/** Timers that end together. */
export interface Timers {
  start(run: () => void, delayMs: number): void;
  clear(): void;
}

export function createTimers(clock: Clock): Timers {
  const waiting = new Set<unknown>();
  return {
    start(run, delayMs) {
      const timer = clock.setTimeout(() => {
        waiting.delete(timer);
        run();
      }, delayMs);
      waiting.add(timer);
    },
    clear() {
      for (const timer of waiting) clock.clearTimeout(timer);
      waiting.clear();
    },
  };
}
