import type { Clock } from "./clock.ts";
import { MartletError } from "./errors.ts";

/**
 * The application's callback for the first token and for fresh ones. One call is awaited at a time. `signal`
 * is aborted when nobody waits for the answer any more.
 */
export type GetToken = (context: { fresh: boolean; signal: AbortSignal }) => Promise<string>;

export interface TokenSource {
  /** The token of the call under way, or of a new one if there is none that will do. */
  get(fresh: boolean): Promise<string>;
  /** Abandons the call under way, whose answer then counts no more. */
  abandon(reason: string): void;
}

/** A callback that hangs must not hang the client: a call is abandoned after its deadline. */
export function createTokenSource(
  getToken: GetToken,
  clock: Clock,
  deadlineMs: number,
): TokenSource {
  let current: { fresh: boolean; token: Promise<string>; end(reason: string): void } | undefined;

  const abandon = (reason: string) => current?.end(reason);
  const call = (fresh: boolean) => {
    const controller = new AbortController();
    let end = (_: string) => {};
    const abandoned = new Promise<never>((_, reject) => {
      end = (reason) => {
        controller.abort();
        reject(new MartletError("TIMEOUT", reason));
        settled();
      };
    });
    const timer = clock.setTimeout(() => end("getToken does not answer"), deadlineMs);
    const settled = () => {
      clock.clearTimeout(timer);
      if (current === mine) current = undefined;
    };
    // Async, so that a callback that throws is one that rejects.
    const asked = (async () => getToken({ fresh, signal: controller.signal }))();
    const token = Promise.race([asked, abandoned]);
    const mine = { fresh, token, end };
    current = mine;
    token.then(settled, settled);
    return mine;
  };
  return {
    abandon,
    get(fresh) {
      if (fresh && current?.fresh === false) abandon("a fresh token is wanted");
      return (current ?? call(fresh)).token;
    },
  };
}
