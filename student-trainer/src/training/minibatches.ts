import { KEY_TAG, philox4x32 } from "@tandem/shared/numeric/philox.js";

/** Third counter word of the random numbers of this file; the streams of sampling are below 16. */
const SHUFFLE_STREAM = 16;

export interface ShufflePoint {
  readonly seed: number;
  /** Index of the batch of rollouts in the run. */
  readonly batch: number;
  /** Which pass over the batch. */
  readonly iteration: number;
}

/** The numbers 0 … count−1 in an order that depends on the point alone: Fisher–Yates on Philox. */
export function shuffledOrder(
  count: number,
  { seed, batch, iteration }: ShufflePoint,
): readonly number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  const words = new Uint32Array(4);
  for (let last = count - 1; last > 0; last--) {
    philox4x32([batch, iteration, SHUFFLE_STREAM, last], [seed, KEY_TAG], words);
    const other = Math.floor(((words[0] as number) / 2 ** 32) * (last + 1));
    [order[last], order[other]] = [order[other] as number, order[last] as number];
  }
  return order;
}

/** Consecutive portions of at most `size`. */
export function portions<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
