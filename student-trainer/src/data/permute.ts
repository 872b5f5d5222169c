import { hash32 } from "@tandem/shared/numeric/hash32.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";

/** "DATA": keeps the order of rows apart from the coins of rollouts. */
const ORDER_TAG = 0x44415441;

/** The order of `count` rows in an epoch: Fisher–Yates on counter-based numbers, so any epoch's order is known without the earlier ones. */
export function permute(count: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  const rngKey = hash32([ORDER_TAG, epoch]);
  for (let i = count - 1; i > 0; i--) {
    const uniform = uniformAt({ runSeed: seed, rngKey, position: i, stream: "coin", index: 1 });
    const j = Math.floor(uniform * (i + 1));
    const moved = order[i] as number;
    order[i] = order[j] as number;
    order[j] = moved;
  }
  return order;
}
