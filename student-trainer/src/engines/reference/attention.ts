import type { CausalAttentionOptions } from "@tandem/shared/tensor/tensor-ops.js";
import type { ReferenceTensor } from "./reference-tensor.js";
import { generate, read } from "./reference-tensor.js";
import { logSumExp } from "./scalar-functions.js";

/** [B,H,T,T]: softmax over the keys j ≤ i of scale·q_i·k_j, straight from the definition. */
export function causalProbabilities(
  q: ReferenceTensor,
  k: ReferenceTensor,
  { heads, kvHeads, scale }: CausalAttentionOptions,
): ReferenceTensor {
  const [rows, positions, width] = q.shape as readonly [number, number, number];
  const d = width / heads;
  const group = heads / kvHeads;
  const scores = generate(q.dtype, [rows, heads, positions, positions], (index) => {
    const [row, head, i, j] = index as readonly [number, number, number, number];
    if (j > i) return -Infinity;
    let product = 0;
    for (let c = 0; c < d; c++) {
      const key = Math.floor(head / group) * d + c;
      product += read(q, [row, i, head * d + c]) * read(k, [row, j, key]);
    }
    return scale * product;
  });
  return generate(q.dtype, scores.shape, (index) => {
    const line = Array.from({ length: positions }, (_, j) => read(scores, index.with(3, j)));
    return Math.exp(read(scores, index) - logSumExp(line));
  });
}

/** [B,T,H·d]: the values averaged by the probabilities. */
export function causalAttention(
  probabilities: ReferenceTensor,
  q: ReferenceTensor,
  v: ReferenceTensor,
  { heads, kvHeads }: CausalAttentionOptions,
): ReferenceTensor {
  const d = (q.shape[2] as number) / heads;
  const group = heads / kvHeads;
  return generate(q.dtype, q.shape, (index) => {
    const [row, i, column] = index as readonly [number, number, number];
    const head = Math.floor(column / d);
    const value = Math.floor(head / group) * d + (column % d);
    let sum = 0;
    for (let j = 0; j <= i; j++) {
      sum += read(probabilities, [row, head, i, j]) * read(v, [row, j, value]);
    }
    return sum;
  });
}

/** Rotates the pairs (x_c, x_{c+d/2}) of each head by the angle whose cosine and sine stand in row n of the tables. */
export function rotary(
  x: ReferenceTensor,
  cos: ReferenceTensor,
  sin: ReferenceTensor,
  heads: number,
): ReferenceTensor {
  const d = (x.shape.at(-1) as number) / heads;
  const half = d / 2;
  return generate(x.dtype, x.shape, (index) => {
    const column = index.at(-1) as number;
    const within = column % d;
    const angle = [index.at(-2) as number, within % half];
    const isFirst = within < half;
    const partner = index.with(-1, column + (isFirst ? half : -half));
    const sign = isFirst ? -1 : 1;
    return read(x, index) * read(cos, angle) + sign * read(x, partner) * read(sin, angle);
  });
}
