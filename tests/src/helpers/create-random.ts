import { uniformAt } from "@tandem/shared/numeric/philox.js";

/** Uniform numbers in [0, 1), the same for the same seed. */
export function createRandom(runSeed: number): () => number {
  let position = 0;
  return () => uniformAt({ runSeed, rngKey: 0, position: position++, stream: "coin" });
}
