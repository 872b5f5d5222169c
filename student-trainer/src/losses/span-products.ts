import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { bounded } from "./atoms.js";
import { keptShare } from "./kept-share.js";
import type { LossDefinition } from "./loss-definition.js";

const options = z.strictObject({
  length: z.int().min(2).default(8).describe("positions of a span; a response is cut into so many"),
});

/** Mean over pairs of neighbours within a span of KL(p_t∘p_{t+1} ‖ q_t∘q_{t+1}), ∘ the product id by id, normalised: what two positions
 * in a row agree on.
 * Source: the span loss of multi-granularity semantic revision (arXiv 2407.10068), by its reviews; the distance between the products and
 * spans of a fixed length are our reading. */
export const spanProducts: LossDefinition<z.output<typeof options>> = {
  name: "span-products",
  summary: "KL between products of neighbouring laws within spans",
  source: "Multi-granularity semantic revision, arXiv 2407.10068 (reviews)",
  options,
  // A neighbour's list holds other ids, so that lists have no products.
  requires: () => ({ signal: { dense: "f32" }, keepsSequences: true }),
  columns: {
    names: ["share"],
    compute: (positions, { length }) => [
      keptShare(
        positions,
        ({ row, signal }) => (row + 1) % length !== 0 && row + 1 < (signal?.count ?? 0),
      ),
    ],
  },
  perToken: (ops, { logits, teacher, columns }) => {
    const { share } = columns;
    invariant(
      teacher.dense !== undefined && share !== undefined,
      "the loss is given dense teacher logits and its column",
    );
    const p = products(ops, bounded(ops, ops.logSoftmax(teacher.dense, 1)));
    const q = products(ops, ops.logSoftmax(logits, 1));
    const kl = ops.reduceSum(ops.mul(ops.exp(p), ops.sub(p, q)), { axes: [1] });
    return ops.mul(share, kl);
  },
};

/** Log-probabilities of p_t∘p_{t+1}; the last row's neighbour is the first, which no span has. */
function products<T extends Tensor>(ops: TensorOps<T>, laws: T): T {
  const next = ops.concat([ops.slice(laws, 0, 1, Infinity), ops.slice(laws, 0, 0, 1)], 0);
  return ops.logSoftmax(ops.add(laws, next), 1);
}
