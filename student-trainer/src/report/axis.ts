export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
}

/** An axis over [low, high] with about `count` round ticks (1, 2 or 5 times a power of ten); it begins and ends at a tick. */
export function niceAxis(low: number, high: number, count: number): Axis {
  const span = high > low ? high - low : Math.max(1, Math.abs(low));
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, index) =>
    // Rounds away the binary dust of 3 · 0.1.
    Number(((first + index) * step).toPrecision(12)),
  );
  return { low: ticks[0] ?? low, high: ticks.at(-1) ?? high, ticks };
}
