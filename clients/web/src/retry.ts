/** When to try again: full jitter between nothing and a limit that doubles. */
export interface RetryOptions {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

export function retryDelayMs(attempt: number, random: () => number, options: RetryOptions): number {
  const limit = Math.min(options.maxDelayMs, options.minDelayMs * 2 ** Math.min(attempt, 20));
  return Math.floor(random() * limit);
}
