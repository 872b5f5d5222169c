import type {
  GraphBuilder,
  RowBlocksInputs,
  RowBlocksResults,
} from "@tandem/shared/onnx/graph-builder.js";
import type { GraphTensor } from "@tandem/shared/onnx/graph.js";

/** Logits of a block: a tensor of this many numbers and a few of its kind stay in a core's caches (0.5 to 2 MiB of its own, some of what it shares).
 * At 49,152 ids blocks of 2 to 16 rows cost much the same, all rows at once twice as much. */
const BLOCK_LOGITS = 400_000;
/** With all the teacher's logits beside the student's, more tensors of that size are in use at a time. */
const DENSE_BLOCK_LOGITS = 200_000;
const MOST_ROWS = 32;
/** Below it an operation on a block is too short to be worth starting. */
const SMALL_VOCABULARY = 1024;

/** How many loss rows are computed at a time; 1 means all at once. A power of two, at least two otherwise: with one row engines may take
 * another path, with other bits. `dense`: the teacher's logits over all ids are among the inputs. */
export function lossBlockRows(vocabulary: number, { dense }: { readonly dense: boolean }): number {
  if (vocabulary < SMALL_VOCABULARY) return 1;
  const logits = dense ? DENSE_BLOCK_LOGITS : BLOCK_LOGITS;
  const fitting = 2 ** Math.floor(Math.log2(logits / vocabulary));
  return Math.min(MOST_ROWS, Math.max(2, fitting));
}

/** `body` in blocks of rows, or at once where `blockRows` is 1. */
export function inRowBlocks(
  g: GraphBuilder,
  inputs: RowBlocksInputs<GraphTensor>,
  body: (
    builder: GraphBuilder,
    rows: readonly GraphTensor[],
    shared: readonly GraphTensor[],
  ) => RowBlocksResults<GraphTensor>,
): RowBlocksResults<GraphTensor> {
  if (inputs.blockRows === 1) return body(g, inputs.rows, inputs.shared);
  return g.rowBlocks(inputs, body);
}
