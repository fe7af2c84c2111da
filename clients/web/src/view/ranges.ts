/** Which numbers are known, as ranges: in rising order, none touching another. */
export interface Range {
  readonly from: number;
  readonly to: number;
}
export type Ranges = readonly Range[];

export function addRange(ranges: Ranges, from: number, to: number): Ranges {
  const last = ranges.at(-1);
  if (last && from >= last.from && to <= last.to) return ranges;
  // The usual case: the next one.
  if (last && from === last.to + 1) return [...ranges.slice(0, -1), { from: last.from, to }];
  const before = ranges.filter((range) => range.to < from - 1);
  const after = ranges.filter((range) => range.from > to + 1);
  const touched = ranges.slice(before.length, ranges.length - after.length);
  const one = {
    from: Math.min(from, touched[0]?.from ?? from),
    to: Math.max(to, touched.at(-1)?.to ?? to),
  };
  return [...before, one, ...after];
}

/** The last number of those known that follow `after` without a hole; `after` itself, if there is none. */
export function knownUpTo(ranges: Ranges, after: number): number {
  const range = ranges.find(({ from, to }) => from <= after + 1 && to > after);
  return range?.to ?? after;
}
