export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median and range of repeated measurements. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: sorted[Math.floor(sorted.length / 2)] as number,
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
  };
}
