import { type Clock, createTimers } from "./clock.ts";
import { MartletError } from "./errors.ts";
import { type RetryOptions, retryDelayMs } from "./retry.ts";

/** Work that is done again and again until it is done, or until the connection that it needs is gone. */
export interface Persistence {
  /** Runs now; after a failure again, later each time. CLOSED is the end of it. */
  run(work: () => Promise<void>): void;
  stop(): void;
}

export function createPersistence(
  clock: Clock,
  random: () => number,
  retry: RetryOptions,
): Persistence {
  const timers = createTimers(clock);
  let generation = 0;

  const attempt = async (work: () => Promise<void>, failures: number) => {
    const mine = generation;
    try {
      await work();
    } catch (error) {
      const { code = "INTERNAL", retryAfterMs = 0 } = error instanceof MartletError ? error : {};
      if (mine !== generation || code === "CLOSED") return;
      const delay = Math.max(retryAfterMs, retryDelayMs(failures, random, retry));
      timers.start(() => void attempt(work, failures + 1), delay);
    }
  };
  return {
    run: (work) => void attempt(work, 0),
    stop() {
      generation++;
      timers.clear();
    },
  };
}
