import type { GraphTensor } from "../onnx/graph.js";
import type { GraphBuilder } from "../onnx/graph-builder.js";

/** The vocabulary is searched in G blocks of W ids, W ≈ √V: a draw looks at G running sums, then at the W of one block. */
export function drawBlocks(vocabulary: number): {
  readonly blocks: number;
  readonly width: number;
} {
  const width = Math.ceil(Math.sqrt(vocabulary));
  return { blocks: Math.ceil(vocabulary / width), width };
}

/** Adds draws by inverse CDF over rising ids: each uniform gives the first id whose cumulated probability exceeds it, summed in float64.
 * u: logits [n,V]. Inputs: drawRows i64 [Q] (rows of n), drawStarts i64 [Q,1] = row·G, drawTaus f32 [Q,1], temperatures of the laws that are
 * drawn from, uniforms f64 [Q,C]. Outputs [Q,C]: drawIds i32; drawLogits, u there; drawShares, softmax(u/τ) there.
 *
 * The sums inside a block are compared as "before the block + inside", rounded as the sum over blocks is; so the block found holds the id. */
export function addDraws(builder: GraphBuilder, u: GraphTensor, vocabulary: number): void {
  const { blocks, width } = drawBlocks(vocabulary);
  const chosen = builder.gather(u, builder.input("drawRows", "i64", ["Q"]), 0); // [Q,V]
  const law = builder.softmax(builder.div(chosen, builder.input("drawTaus", "f32", ["Q", 1])), 1);
  const mass = builder.pad(law, 1, 0, blocks * width - vocabulary);
  const byBlock = builder.reshape(builder.cast(mass, "f64"), ["Q", blocks, width]); // [Q,G,W]
  const inside = builder.cumsum(byBlock, 2); // [Q,G,W]
  const upTo = builder.cumsum(builder.squeeze(builder.slice(inside, 2, -1, Infinity), 2), 1); // [Q,G]
  const before = builder.pad(builder.slice(upTo, 1, 0, -1), 1, 1, 0); // [Q,G]

  const total = builder.slice(upTo, 1, -1, Infinity); // [Q,1]
  const target = builder.mul(builder.input("uniforms", "f64", ["Q", "C"]), total); // [Q,C]
  const passed = countUpTo(builder, builder.unsqueeze(upTo, 1), target); // [Q,C]
  const block = builder.minimum(passed, builder.scalar(blocks - 1, "i64"));

  const rows = builder.add(block, builder.input("drawStarts", "i64", ["Q", 1])); // [Q,C]
  const insideOfBlock = builder.gather(builder.reshape(inside, [`${blocks}*Q`, width]), rows, 0); // [Q,C,W]
  const beforeBlock = builder.gather(builder.reshape(before, [`${blocks}*Q`]), rows, 0); // [Q,C]
  const cumulated = builder.add(insideOfBlock, builder.unsqueeze(beforeBlock, 2)); // [Q,C,W]
  const place = countUpTo(builder, cumulated, target); // [Q,C]
  const found = builder.add(builder.mul(block, builder.scalar(width, "i64")), place);
  // Rounding may carry a uniform within 2⁻⁵³ of 1 past the last id.
  const ids = builder.minimum(found, builder.scalar(vocabulary - 1, "i64"));
  builder.output("drawIds", builder.cast(ids, "i32"));
  builder.output("drawLogits", builder.takeAlongAxis(chosen, ids, 1));
  builder.output("drawShares", builder.takeAlongAxis(law, ids, 1));
}

/** #{j : sums[…,j] ≤ target} as i64; sums [Q,1 or C,J], target [Q,C]. */
function countUpTo(builder: GraphBuilder, sums: GraphTensor, target: GraphTensor): GraphTensor {
  const above = builder.greater(sums, builder.unsqueeze(target, 2)); // [Q,C,J]
  const reached = builder.cast(builder.logicalNot(above), "f32");
  return builder.cast(builder.reduceSum(reached, { axes: [2] }), "i64");
}
