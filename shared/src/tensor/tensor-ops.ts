/**
 * The small algebra in which models and losses are written, once. Implementations: the ONNX graph builder
 * (`onnx/graph-builder`), the float64 reference of the student trainer, later tfjs.
 *
 * Letters of shapes: B rows, T positions, N packed tokens, V vocabulary, D model width, H heads, K kept top ids.
 * Broadcasting is NumPy's. Axes may be negative. Index tensors are `i64` ("ids"); conditions are `bool`.
 */

export type DType = "f64" | "f32" | "f16" | "bf16" | "i64" | "i32" | "u8" | "bool";

/** A number, or the name of a size known only when the graph runs (`"N"`). Equal names mean equal sizes. */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** A handle; what is behind it belongs to the implementation. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface MatMulOptions {
  /** Use aᵀ of the last two axes. */
  readonly transA?: boolean;
  /** Use bᵀ of the last two axes: the layout of a Hugging Face linear weight `[out, in]`. */
  readonly transB?: boolean;
}

export interface ReduceOptions {
  /** Default: all axes. */
  readonly axes?: readonly number[];
  /** Default: false. */
  readonly keepDims?: boolean;
}

export interface CausalAttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  /** Multiplies q·kᵀ; usually 1/√headDim. */
  readonly scale: number;
}

export interface TopK<T> {
  /** `[..., k]` sorted descending; ties go to the lower index. */
  readonly values: T;
  /** `[..., k]` i64. */
  readonly indices: T;
}

export interface TensorOps<T extends Tensor = Tensor> {
  // ── sources ──
  /** A constant baked into the graph. */
  constant(
    data: readonly number[] | Float32Array | BigInt64Array,
    shape: readonly number[],
    dtype?: DType,
  ): T;
  /** A rank-0 constant, f32 unless told otherwise. */
  scalar(value: number, dtype?: DType): T;

  // ── elementwise, broadcasting ──
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  mul(a: T, b: T): T;
  div(a: T, b: T): T;
  /** Elementwise maximum; at a tie the gradient goes to `a`. */
  maximum(a: T, b: T): T;
  minimum(a: T, b: T): T;
  neg(x: T): T;
  exp(x: T): T;
  log(x: T): T;
  sqrt(x: T): T;
  reciprocal(x: T): T;
  abs(x: T): T;
  tanh(x: T): T;
  sigmoid(x: T): T;
  erf(x: T): T;
  sin(x: T): T;
  cos(x: T): T;
  relu(x: T): T;
  /** x·sigmoid(x). */
  silu(x: T): T;
  /** `erf`: the exact form; `tanh`: GPT-2's `gelu_new` approximation. */
  gelu(x: T, approximate: "erf" | "tanh"): T;

  // ── comparison and choice: no gradient flows into conditions ──
  greater(a: T, b: T): T;
  greaterEqual(a: T, b: T): T;
  less(a: T, b: T): T;
  equal(a: T, b: T): T;
  logicalAnd(a: T, b: T): T;
  logicalOr(a: T, b: T): T;
  logicalNot(x: T): T;
  where(condition: T, a: T, b: T): T;
  cast(x: T, dtype: DType): T;

  // ── reductions ──
  reduceSum(x: T, options?: ReduceOptions): T;
  reduceMean(x: T, options?: ReduceOptions): T;
  /** The gradient goes to the first of equal maxima. */
  reduceMax(x: T, options?: ReduceOptions): T;
  reduceMin(x: T, options?: ReduceOptions): T;
  /** Lowest index of the maximum, i64; the axis is removed. No gradient. */
  argmax(x: T, axis: number): T;
  /** Inclusive running sum; `reverse` runs from the end. */
  cumsum(x: T, axis: number, reverse?: boolean): T;

  // ── shape ──
  /** Numbers and symbols as in `Dim`; one entry may be -1. The implementation must be able to derive symbols from x (see `reshape` rules in graph-builder). */
  reshape(x: T, shape: readonly Dim[]): T;
  transpose(x: T, permutation: readonly number[]): T;
  /** Half-open [start, end) along one axis. Negative numbers count from the end, `end` may be Infinity; a symbol is a size as in `Dim`. */
  slice(x: T, axis: number, start: Dim, end: Dim): T;
  /** Zeros in front of and behind one axis. */
  pad(x: T, axis: number, before: Dim, after: Dim): T;
  concat(xs: readonly T[], axis: number): T;
  /** Broadcast to a shape whose sizes are numbers or symbols of `like`. */
  broadcastTo(x: T, like: T): T;
  /** Broadcast to a shape of numbers and symbols. */
  expand(x: T, shape: Shape): T;
  /** A size as an f32 scalar: `sizeOf("N")` for a mean over N rows. */
  sizeOf(size: Dim): T;
  unsqueeze(x: T, axis: number): T;
  squeeze(x: T, axis: number): T;

  // ── indexing ──
  /** Rows of x along `axis` chosen by ids of any shape: out = x.shape[:axis] + ids.shape + x.shape[axis+1:]. Gradient: scatter-add. */
  gather(x: T, ids: T, axis: number): T;
  /** NumPy take_along_axis: ids has x's rank. Gradient: scatter-add. */
  takeAlongAxis(x: T, ids: T, axis: number): T;
  /** Copy of x with updates written at ids along axis (same rank). `add` accumulates over equal ids. */
  scatterAlongAxis(x: T, ids: T, updates: T, axis: number, reduction: "none" | "add"): T;
  topK(x: T, k: number, axis: number): TopK<T>;

  // ── linear algebra ──
  /** [..., m, k] × [..., k, n]. */
  matmul(a: T, b: T, options?: MatMulOptions): T;

  // ── compound: one engine kernel where there is one, their definition elsewhere ──
  softmax(x: T, axis: number): T;
  logSoftmax(x: T, axis: number): T;
  /** log Σ exp along axis, keepDims false; finite when some entries are −inf. */
  logSumExp(x: T, axis: number): T;
  /** x·weight/√(mean(x²)+eps) over the last axis. */
  rmsNorm(x: T, weight: T, eps: number): T;
  /** 1/√(mean(x²)+eps) over the last axis, kept as size 1: shared by rmsNorm and its gradient. */
  inverseRms(x: T, eps: number): T;
  layerNorm(x: T, weight: T, bias: T, eps: number): T;
  /** Rotates the halves of each head (Hugging Face's layout). x [N, H·d] or [B,T,H·d]; cos, sin [N, d/2] or [T, d/2]. */
  rotary(x: T, cos: T, sin: T, heads: number): T;
  /** Full causal self-attention. q [B,T,H·d], k and v [B,T,KH·d] → [B,T,H·d]; rows are padded on the right, so causality alone hides padding. */
  causalAttention(q: T, k: T, v: T, options: CausalAttentionOptions): T;

  /** The probabilities of `causalAttention`, [B,H,T,T]: what its gradient needs. */
  causalProbabilities(q: T, k: T, options: CausalAttentionOptions): T;

  /** Σ of x over the head of p along the last axis: in falling order of p, ties by id, the longest prefix with Σ p ≤ mass, the first id always
   * in it. p ≥ 0 of sum 1. No gradient. */
  headSum(p: T, x: T, mass: number): T;

  /** The same value with no gradient behind it. */
  stopGradient(x: T): T;
  /** `value` [...], but with `slope` as its derivative by x [..., n] and none by anything else: a gradient that is known in closed form, in place
   * of the one that follows the value's operations. */
  withGradient(value: T, x: T, slope: T): T;
}
