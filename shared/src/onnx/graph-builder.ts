import { normalizeAxes, normalizeAxis } from "../numeric/shape.js";
import { sameShape } from "../tensor/broadcast.js";
import { canonicalDim } from "../tensor/dim.js";
import type {
  InferenceOps,
  SlotAttentionInputs,
  SlotAttentionResult,
} from "../tensor/inference-ops.js";
import type {
  CausalAttentionOptions,
  DType,
  Dim,
  MatMulOptions,
  ReduceOptions,
  Shape,
  TopK,
} from "../tensor/tensor-ops.js";
import { ArithmeticRecorder } from "./arithmetic-recorder.js";
import { constantDType, toConstantData } from "./constant-data.js";
import type { GraphTensor } from "./graph.js";
import { resolveBound, resolveReshape } from "./resolve-shape.js";
import { shiftedMean, softmaxLogits } from "./simplify.js";

type G = GraphTensor;

export interface RowBlocksInputs<T> {
  /** f32, i64 or bool [C, ...], at least one. */
  readonly rows: readonly T[];
  /** What every block sees as it is. */
  readonly shared: readonly T[];
  readonly blockRows: number;
}

export interface RowBlocksResults<T> {
  /** [blockRows, ...] inside, [C, ...] outside. */
  readonly rows: readonly T[];
  /** Summed over the blocks. */
  readonly sums: readonly T[];
}

/** Records operations as an immutable graph. Equal operations on equal inputs are recorded once; what changes nothing is
 * left out; `build` drops what no output needs. */
export class GraphBuilder extends ArithmeticRecorder implements InferenceOps<G> {
  // ── sources ──

  constant(
    data: readonly number[] | Float32Array | BigInt64Array,
    shape: readonly number[],
    dtype: DType = constantDType(data),
  ): G {
    return this.record("constant", [], { dtype, shape, data: toConstantData(data, shape, dtype) });
  }

  scalar(value: number, dtype: DType = "f32"): G {
    return this.constant([value], [], dtype);
  }

  // ── elementwise ──

  neg(x: G): G {
    return this.record("neg", [x], {});
  }

  exp(x: G): G {
    const { kind, inputs, attributes } = x.node;
    if (kind === "log") return inputs[0] as G;
    // One exponential instead of two.
    if (kind === "logSoftmax") return this.record("softmax", inputs, attributes);
    const logits = softmaxLogits(x);
    if (logits !== undefined) return this.softmax(logits, -1);
    return this.record("exp", [x], {});
  }

  log(x: G): G {
    return this.record("log", [x], {});
  }

  sqrt(x: G): G {
    return this.record("sqrt", [x], {});
  }

  reciprocal(x: G): G {
    return this.record("reciprocal", [x], {});
  }

  abs(x: G): G {
    return this.record("abs", [x], {});
  }

  tanh(x: G): G {
    return this.record("tanh", [x], {});
  }

  sigmoid(x: G): G {
    return this.record("sigmoid", [x], {});
  }

  erf(x: G): G {
    return this.record("erf", [x], {});
  }

  sin(x: G): G {
    return this.record("sin", [x], {});
  }

  cos(x: G): G {
    return this.record("cos", [x], {});
  }

  relu(x: G): G {
    return this.record("relu", [x], {});
  }

  silu(x: G): G {
    return this.record("silu", [x], {});
  }

  gelu(x: G, approximate: "erf" | "tanh"): G {
    return this.record("gelu", [x], { approximate });
  }

  greater(a: G, b: G): G {
    return this.broadcasting("greater", a, b);
  }

  greaterEqual(a: G, b: G): G {
    return this.broadcasting("greaterEqual", a, b);
  }

  less(a: G, b: G): G {
    return this.broadcasting("less", a, b);
  }

  equal(a: G, b: G): G {
    return this.broadcasting("equal", a, b);
  }

  logicalAnd(a: G, b: G): G {
    return this.record("logicalAnd", [a, b], {});
  }

  logicalOr(a: G, b: G): G {
    return this.record("logicalOr", [a, b], {});
  }

  logicalNot(x: G): G {
    return this.record("logicalNot", [x], {});
  }

  where(condition: G, a: G, b: G): G {
    return this.record("where", [condition, a, b], {});
  }

  cast(x: G, dtype: DType): G {
    return x.dtype === dtype ? x : this.record("cast", [x], { dtype });
  }

  // ── reductions ──

  reduceSum(x: G, options: ReduceOptions = {}): G {
    const attributes = reduceAttributes(x, options);
    const mean = shiftedMean(x);
    const last = x.shape.length - 1;
    if (mean !== undefined && attributes.axes.length === 1 && attributes.axes[0] === last) {
      const sum = this.reduceSum(this.mul(mean.law, mean.large), options);
      return this.sub(sum, attributes.keepDims ? mean.shift : this.squeeze(mean.shift, -1));
    }
    return this.record("reduceSum", [x], attributes);
  }

  reduceMean(x: G, options: ReduceOptions = {}): G {
    return this.record("reduceMean", [x], reduceAttributes(x, options));
  }

  reduceMax(x: G, options: ReduceOptions = {}): G {
    return this.record("reduceMax", [x], reduceAttributes(x, options));
  }

  reduceMin(x: G, options: ReduceOptions = {}): G {
    return this.record("reduceMin", [x], reduceAttributes(x, options));
  }

  argmax(x: G, axis: number): G {
    return this.record("argmax", [x], { axis: normalizeAxis(axis, x.shape.length) });
  }

  cumsum(x: G, axis: number, reverse = false): G {
    return this.record("cumsum", [x], { axis: normalizeAxis(axis, x.shape.length), reverse });
  }

  headSum(p: G, x: G, mass: number): G {
    return this.record("headSum", [p, x], { mass });
  }

  // ── shape ──

  /** Every symbol of the target must occur as a size of some input of the graph. */
  reshape(x: G, shape: Shape): G {
    const target = resolveReshape(x.shape, shape);
    const source = x.node.kind === "reshape" ? (x.node.inputs[0] as G) : x;
    if (sameShape(source.shape, target)) return source;
    return this.record("reshape", [source], { shape: target });
  }

  transpose(x: G, permutation: readonly number[]): G {
    return this.record("transpose", [x], { permutation });
  }

  slice(x: G, axis: number, start: Dim, end: Dim): G {
    const at = normalizeAxis(axis, x.shape.length);
    const size = x.shape[at] as Dim;
    const bounds = { start: resolveBound(start, size), end: resolveBound(end, size) };
    if (bounds.start === 0 && bounds.end === size) return x;
    return this.record("slice", [x], { axis: at, ...bounds });
  }

  pad(x: G, axis: number, before: Dim, after: Dim): G {
    if (before === 0 && after === 0) return x;
    return this.record("pad", [x], { axis: normalizeAxis(axis, x.shape.length), before, after });
  }

  concat(xs: readonly G[], axis: number): G {
    const [first] = xs;
    if (first !== undefined && xs.length === 1) return first;
    return this.record("concat", xs, { axis: normalizeAxis(axis, first?.shape.length ?? 0) });
  }

  broadcastTo(x: G, like: G): G {
    return this.expand(x, like.shape);
  }

  expand(x: G, shape: Shape): G {
    const target = shape.map(canonicalDim);
    return sameShape(x.shape, target) ? x : this.record("expand", [x], { shape: target });
  }

  sizeOf(size: Dim): G {
    const canonical = canonicalDim(size);
    if (typeof canonical === "number") return this.scalar(canonical);
    return this.record("sizeOf", [], { size: canonical });
  }

  unsqueeze(x: G, axis: number): G {
    return this.reshape(x, x.shape.toSpliced(normalizeAxis(axis, x.shape.length + 1), 0, 1));
  }

  squeeze(x: G, axis: number): G {
    return this.reshape(x, x.shape.toSpliced(normalizeAxis(axis, x.shape.length), 1));
  }

  // ── indexing ──

  gather(x: G, ids: G, axis: number): G {
    return this.record("gather", [x, ids], { axis: normalizeAxis(axis, x.shape.length) });
  }

  takeAlongAxis(x: G, ids: G, axis: number): G {
    return this.record("takeAlongAxis", [x, ids], { axis: normalizeAxis(axis, x.shape.length) });
  }

  scatterAlongAxis(x: G, ids: G, updates: G, axis: number, reduction: "none" | "add"): G {
    const attributes = { axis: normalizeAxis(axis, x.shape.length), reduction };
    return this.record("scatterAlongAxis", [x, ids, updates], attributes);
  }

  topK(x: G, k: number, axis: number): TopK<G> {
    const attributes = { axis: normalizeAxis(axis, x.shape.length), k };
    const [values, indices] = this.recordAll("topK", [x], attributes) as readonly [G, G];
    return { values, indices };
  }

  // ── linear algebra and compound operations ──

  matmul(a: G, b: G, { transA = false, transB = false }: MatMulOptions = {}): G {
    return this.record("matmul", [a, b], { transA, transB });
  }

  softmax(x: G, axis: number): G {
    return this.record("softmax", [x], { axis: normalizeAxis(axis, x.shape.length) });
  }

  logSoftmax(x: G, axis: number): G {
    return this.record("logSoftmax", [x], { axis: normalizeAxis(axis, x.shape.length) });
  }

  logSumExp(x: G, axis: number): G {
    return this.record("logSumExp", [x], { axis: normalizeAxis(axis, x.shape.length) });
  }

  rmsNorm(x: G, weight: G, eps: number): G {
    return this.record("rmsNorm", [x, weight], { eps });
  }

  inverseRms(x: G, eps: number): G {
    return this.record("inverseRms", [x], { eps });
  }

  layerNorm(x: G, weight: G, bias: G, eps: number): G {
    return this.record("layerNorm", [x, weight, bias], { eps });
  }

  rotary(x: G, cos: G, sin: G, heads: number): G {
    return this.record("rotary", [x, cos, sin], { heads });
  }

  causalAttention(q: G, k: G, v: G, { heads, kvHeads, scale }: CausalAttentionOptions): G {
    return this.record("causalAttention", [q, k, v], { heads, kvHeads, scale });
  }

  causalProbabilities(q: G, k: G, { heads, kvHeads, scale }: CausalAttentionOptions): G {
    return this.record("causalProbabilities", [q, k], { heads, kvHeads, scale });
  }

  stopGradient(x: G): G {
    const source = x.node.kind === "withGradient" ? (x.node.inputs[0] as G) : x;
    return this.record("stopGradient", [source], {});
  }

  withGradient(value: G, x: G, slope: G): G {
    return this.record("withGradient", [value, x, slope], {});
  }

  // ── inference only ──

  slotAttention(
    { q, k, v, keySlots, valueSlots, starts }: SlotAttentionInputs<G>,
    { heads, kvHeads, scale }: CausalAttentionOptions,
  ): SlotAttentionResult<G> {
    const inputs = [q, k, v, keySlots, valueSlots, starts];
    const results = this.recordAll("slotAttention", inputs, { heads, kvHeads, scale });
    const [output, newKeys, newValues] = results as readonly [G, G, G];
    return { output, keySlots: newKeys, valueSlots: newValues };
  }

  topKDynamic(x: G, k: G, size: string): TopK<G> {
    const results = this.recordAll("topKDynamic", [x, k], { size });
    const [values, indices] = results as readonly [G, G];
    return { values, indices };
  }

  countGreater(x: G, threshold: G, largest?: G): G {
    const inputs = largest === undefined ? [x, threshold] : [x, threshold, largest];
    return this.record("countGreater", inputs, {});
  }

  // ── a graph inside ──

  /** Runs `body` on consecutive blocks of `blockRows` rows (axis 0) of some tensors: rows that need nothing of each other, in portions
   * whose intermediate results stay in the processor's cache. The number of rows must be a multiple of `blockRows`.
   * No gradient flows through it; a body may take gradients of its own. */
  rowBlocks(
    { rows, shared, blockRows }: RowBlocksInputs<G>,
    body: (builder: GraphBuilder, rows: readonly G[], shared: readonly G[]) => RowBlocksResults<G>,
  ): RowBlocksResults<G> {
    const inner = new GraphBuilder();
    const results = body(
      inner,
      rows.map(({ dtype, shape }, at) => inner.input(`row.${at}`, dtype, shape.with(0, blockRows))),
      shared.map(({ dtype, shape }, at) => inner.input(`shared.${at}`, dtype, shape)),
    );
    results.rows.forEach((x, at) => inner.output(`rows.${at}`, x));
    results.sums.forEach((x, at) => inner.output(`sum.${at}`, x));
    const rowResults = results.rows.length;
    const attributes = { body: inner.build(), rowInputs: rows.length, blockRows, rowResults };
    const all = this.recordAll("rowBlocks", [...rows, ...shared], attributes);
    return { rows: all.slice(0, rowResults), sums: all.slice(rowResults) };
  }
}

function reduceAttributes(
  x: G,
  { axes, keepDims = false }: ReduceOptions,
): { readonly axes: readonly number[]; readonly keepDims: boolean } {
  return { axes: normalizeAxes(axes, x.shape.length), keepDims };
}
