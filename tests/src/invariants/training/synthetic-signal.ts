import { philox4x32 } from "@tandem/shared/numeric/philox.js";
import type { Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { TINY_LLAMA } from "./fixture-run.js";

const V = TINY_LLAMA.vocabSize;
const TOP_K = 4;
const TAU = 2;

/** A rollout with the exact signal of a made-up teacher: top 4 and temperature 2. Its logits depend on row and position. */
export function withSyntheticSignal(rollout: Rollout): Rollout {
  const n = rollout.response.length;
  const topIds = new Uint32Array(n * TOP_K);
  const topLogits = new Float32Array(n * TOP_K);
  const [lse, logTail, lseAt, logTailAt] = Array.from({ length: 4 }, () => new Float32Array(n)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (let row = 0; row < n; row++) {
    const u = Float32Array.from(
      { length: V },
      (_, id) => philox4x32([rollout.row, row, id, 5], [1, 2])[0]! / 2 ** 30,
    );
    const ids = Array.from(u.keys()).sort((a, b) => u[b]! - u[a]! || a - b);
    topIds.set(ids.slice(0, TOP_K), row * TOP_K);
    topLogits.set(
      ids.slice(0, TOP_K).map((id) => u[id]!),
      row * TOP_K,
    );
    const logSum = (picked: number[], tau: number) =>
      Math.log(picked.reduce((sum, id) => sum + Math.exp(u[id]! / tau), 0));
    lse[row] = logSum(ids, 1);
    logTail[row] = logSum(ids.slice(TOP_K), 1) - logSum(ids, 1);
    lseAt[row] = logSum(ids, TAU);
    logTailAt[row] = logSum(ids.slice(TOP_K), TAU) - logSum(ids, TAU);
  }
  return {
    ...rollout,
    signal: {
      from: rollout.prompt.length,
      count: n,
      topK: TOP_K,
      topIds,
      topLogits,
      lse,
      logTail,
      tauCount: 1,
      taus: new Float32Array(n).fill(TAU),
      lseAt,
      logTailAt,
    },
  };
}
