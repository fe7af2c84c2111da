import type { Client } from "../src/index.ts";
import type { Views } from "../src/view.ts";

/** What the parts of the page share. */
export interface Context {
  readonly client: Client;
  readonly views: Views;
  readonly user: string;
  /** The conversation that is open. */
  readonly open: string | undefined;
  show(id: string | undefined): void;
  /** Draws everything anew, soon. */
  refresh(): void;
  /** Does what may be refused, and tells if it is. True if it was done. */
  attempt(work: () => Promise<unknown>): Promise<boolean>;
  readonly isDetailed: boolean;
  setDetailed(isDetailed: boolean): void;
}

/** A part of the page: its element, and how it is brought up to date. */
export interface Part {
  readonly element: HTMLElement;
  render(): void;
}
