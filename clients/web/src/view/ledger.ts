/**
 * A value that is known up to a number, and changes after it that are known although some between may not be. A
 * change counts once, however often and in whatever order it is learned; a value of a later number includes
 * all changes up to it.
 */
export interface Ledger<V, C extends { readonly seq: number }> {
  readonly seq: number;
  readonly value: V;
  /** After `seq`, in rising order. */
  readonly changes: readonly C[];
}

export const openLedger = <V, C extends { readonly seq: number }>(
  seq: number,
  value: V,
): Ledger<V, C> => ({ seq, value, changes: [] });

export function addChange<V, C extends { readonly seq: number }>(
  ledger: Ledger<V, C>,
  change: C,
): Ledger<V, C> {
  const { seq, changes } = ledger;
  if (change.seq <= seq || changes.some((known) => known.seq === change.seq)) return ledger;
  return { ...ledger, changes: [...changes, change].sort((a, b) => a.seq - b.seq) };
}

/** What is known of both. */
export function mergeLedgers<V, C extends { readonly seq: number }>(
  a: Ledger<V, C>,
  b: Ledger<V, C>,
): Ledger<V, C> {
  const [older, newer] = a.seq < b.seq ? [a, b] : [b, a];
  return older.changes.reduce(addChange, newer);
}

/** Takes into the value what is known without a hole up to a number. */
export function settle<V, C extends { readonly seq: number }>(
  ledger: Ledger<V, C>,
  upTo: number,
  step: (value: V, change: C) => V,
): Ledger<V, C> {
  const count = ledger.changes.filter(({ seq }) => seq <= upTo).length;
  if (!count) return ledger;
  const settled = ledger.changes.slice(0, count);
  return {
    seq: settled.at(-1)?.seq ?? ledger.seq,
    value: settled.reduce(step, ledger.value),
    changes: ledger.changes.slice(count),
  };
}

export const currentOf = <V, C extends { readonly seq: number }>(
  ledger: Ledger<V, C>,
  step: (value: V, change: C) => V,
): V => ledger.changes.reduce(step, ledger.value);
