import { normalizeAxes, normalizeAxis } from "@tandem/shared/numeric/shape.js";
import { resolveBound, resolveReshape } from "@tandem/shared/onnx/resolve-shape.js";
import { broadcastShapes } from "@tandem/shared/tensor/broadcast.js";
import { inferTypes } from "@tandem/shared/tensor/infer-types.js";
import type { OpAttributes, TensorOpName } from "@tandem/shared/tensor/op-attributes.js";
import type {
  CausalAttentionOptions,
  DType,
  Dim,
  MatMulOptions,
  ReduceOptions,
  Shape,
  TensorOps,
  TopK,
} from "@tandem/shared/tensor/tensor-ops.js";
import { causalAttention, causalProbabilities, rotary } from "./attention.js";
import { concat, scatter } from "./lines.js";
import { matmul } from "./matmul.js";
import { fallingOrder, ordersAlong } from "./orders.js";
import { lineThrough, reduce } from "./reductions.js";
import type { ReferenceTensor } from "./reference-tensor.js";
import { generate, read, readBroadcast, referenceTensor } from "./reference-tensor.js";
import { erf, gelu, logSumExp, sigmoid } from "./scalar-functions.js";

type R = ReferenceTensor;
type Numbers = readonly number[];

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** TensorOps evaluated at once in float64, each operation from its definition, one output element at a time. Slow and
 * obviously right: expected values and finite differences come from here. Shapes are checked by the same rules as the graph's. */
export class ReferenceOps implements TensorOps<R> {
  #shape<O extends TensorOpName>(
    op: O,
    inputs: readonly R[],
    attributes: OpAttributes[O],
  ): Numbers {
    return inferTypes(op, inputs, attributes)[0]?.shape as Numbers;
  }

  #map(x: R, f: (value: number) => number): R {
    return { ...x, data: x.data.map(f) };
  }

  #zip(a: R, b: R, dtype: DType, f: (a: number, b: number) => number): R {
    const shape = broadcastShapes(a.shape, b.shape) as Numbers;
    return generate(dtype, shape, (at) => f(readBroadcast(a, at), readBroadcast(b, at)));
  }

  constant(
    data: Numbers | Float32Array | BigInt64Array,
    shape: Numbers,
    dtype: DType = data instanceof BigInt64Array ? "i64" : "f32",
  ): R {
    return referenceTensor(data, shape, dtype);
  }

  scalar(value: number, dtype: DType = "f32"): R {
    return referenceTensor([value], [], dtype);
  }

  // ── elementwise ──

  add(a: R, b: R): R {
    return this.#zip(a, b, a.dtype, (x, y) => x + y);
  }

  sub(a: R, b: R): R {
    return this.#zip(a, b, a.dtype, (x, y) => x - y);
  }

  mul(a: R, b: R): R {
    return this.#zip(a, b, a.dtype, (x, y) => x * y);
  }

  div(a: R, b: R): R {
    const isInteger = a.dtype === "i64" || a.dtype === "i32";
    return this.#zip(a, b, a.dtype, (x, y) => (isInteger ? Math.trunc(x / y) : x / y));
  }

  maximum(a: R, b: R): R {
    return this.#zip(a, b, a.dtype, Math.max);
  }

  minimum(a: R, b: R): R {
    return this.#zip(a, b, a.dtype, Math.min);
  }

  neg(x: R): R {
    return this.#map(x, (value) => -value);
  }

  exp(x: R): R {
    return this.#map(x, Math.exp);
  }

  log(x: R): R {
    return this.#map(x, Math.log);
  }

  sqrt(x: R): R {
    return this.#map(x, Math.sqrt);
  }

  reciprocal(x: R): R {
    return this.#map(x, (value) => 1 / value);
  }

  abs(x: R): R {
    return this.#map(x, Math.abs);
  }

  tanh(x: R): R {
    return this.#map(x, Math.tanh);
  }

  sigmoid(x: R): R {
    return this.#map(x, sigmoid);
  }

  erf(x: R): R {
    return this.#map(x, erf);
  }

  sin(x: R): R {
    return this.#map(x, Math.sin);
  }

  cos(x: R): R {
    return this.#map(x, Math.cos);
  }

  relu(x: R): R {
    return this.#map(x, (value) => Math.max(value, 0));
  }

  silu(x: R): R {
    return this.#map(x, (value) => value * sigmoid(value));
  }

  gelu(x: R, approximate: "erf" | "tanh"): R {
    return this.#map(x, (value) => gelu(value, approximate));
  }

  // ── comparison and choice ──

  greater(a: R, b: R): R {
    return this.#zip(a, b, "bool", (x, y) => Number(x > y));
  }

  greaterEqual(a: R, b: R): R {
    return this.#zip(a, b, "bool", (x, y) => Number(x >= y));
  }

  less(a: R, b: R): R {
    return this.#zip(a, b, "bool", (x, y) => Number(x < y));
  }

  equal(a: R, b: R): R {
    return this.#zip(a, b, "bool", (x, y) => Number(x === y));
  }

  logicalAnd(a: R, b: R): R {
    return this.#zip(a, b, "bool", (x, y) => x * y);
  }

  logicalOr(a: R, b: R): R {
    return this.#zip(a, b, "bool", Math.max);
  }

  logicalNot(x: R): R {
    return this.#map(x, (value) => 1 - value);
  }

  where(condition: R, a: R, b: R): R {
    const shape = this.#shape("where", [condition, a, b], {});
    return generate(a.dtype, shape, (at) =>
      readBroadcast(condition, at) === 1 ? readBroadcast(a, at) : readBroadcast(b, at),
    );
  }

  cast(x: R, dtype: DType): R {
    const converted = dtype === "bool" ? x.data.map((value) => Number(value !== 0)) : x.data;
    const isInteger = dtype === "i64" || dtype === "i32" || dtype === "u8";
    return { dtype, shape: x.shape, data: isInteger ? converted.map(Math.trunc) : converted };
  }

  // ── reductions ──

  #reduce(x: R, { axes, keepDims = false }: ReduceOptions, f: (values: Numbers) => number): R {
    return reduce(x, { axes: normalizeAxes(axes, x.shape.length), keepDims }, f);
  }

  reduceSum(x: R, options: ReduceOptions = {}): R {
    return this.#reduce(x, options, sum);
  }

  reduceMean(x: R, options: ReduceOptions = {}): R {
    return this.#reduce(x, options, (values) => sum(values) / values.length);
  }

  reduceMax(x: R, options: ReduceOptions = {}): R {
    return this.#reduce(x, options, (values) => Math.max(...values));
  }

  reduceMin(x: R, options: ReduceOptions = {}): R {
    return this.#reduce(x, options, (values) => Math.min(...values));
  }

  argmax(x: R, axis: number): R {
    const indices = this.#reduce(x, { axes: [axis] }, (line) => line.indexOf(Math.max(...line)));
    return { ...indices, dtype: "i64" };
  }

  cumsum(x: R, axis: number, reverse = false): R {
    const at = normalizeAxis(axis, x.shape.length);
    return generate(x.dtype, x.shape, (index) => {
      const line = lineThrough(x, index, at);
      const here = index[at] as number;
      return sum(reverse ? line.slice(here) : line.slice(0, here + 1));
    });
  }

  // ── shape ──

  reshape(x: R, shape: Shape): R {
    const target = resolveReshape(x.shape, shape) as Numbers;
    return { ...x, shape: this.#shape("reshape", [x], { shape: target }) };
  }

  transpose(x: R, permutation: Numbers): R {
    const shape = this.#shape("transpose", [x], { permutation });
    return generate(x.dtype, shape, (index) =>
      read(
        x,
        permutation.map((_, axis) => index[permutation.indexOf(axis)] as number),
      ),
    );
  }

  slice(x: R, axis: number, start: Dim, end: Dim): R {
    const at = normalizeAxis(axis, x.shape.length);
    const size = x.shape[at] as number;
    const first = resolveBound(start, size) as number;
    const shape = x.shape.with(at, Math.max((resolveBound(end, size) as number) - first, 0));
    return generate(x.dtype, shape, (index) =>
      read(x, index.with(at, (index[at] as number) + first)),
    );
  }

  pad(x: R, axis: number, before: Dim, after: Dim): R {
    const at = normalizeAxis(axis, x.shape.length);
    const shape = this.#shape("pad", [x], { axis: at, before, after });
    return generate(x.dtype, shape, (index) => {
      const inner = (index[at] as number) - (before as number);
      return inner >= 0 && inner < (x.shape[at] as number) ? read(x, index.with(at, inner)) : 0;
    });
  }

  concat(xs: readonly R[], axis: number): R {
    const at = normalizeAxis(axis, xs[0]?.shape.length ?? 0);
    const shape = this.#shape("concat", xs, { axis: at });
    return concat(xs, at, shape);
  }

  broadcastTo(x: R, like: R): R {
    return this.expand(x, like.shape);
  }

  expand(x: R, shape: Shape): R {
    const target = this.#shape("expand", [x], { shape });
    return generate(x.dtype, target, (index) => readBroadcast(x, index));
  }

  sizeOf(size: Dim): R {
    return this.scalar(size as number);
  }

  unsqueeze(x: R, axis: number): R {
    return { ...x, shape: x.shape.toSpliced(normalizeAxis(axis, x.shape.length + 1), 0, 1) };
  }

  squeeze(x: R, axis: number): R {
    return this.reshape(x, x.shape.toSpliced(normalizeAxis(axis, x.shape.length), 1));
  }

  // ── indexing ──

  gather(x: R, ids: R, axis: number): R {
    const at = normalizeAxis(axis, x.shape.length);
    const shape = this.#shape("gather", [x, ids], { axis: at });
    return generate(x.dtype, shape, (index) => {
      const id = read(ids, index.slice(at, at + ids.shape.length));
      return read(x, index.toSpliced(at, ids.shape.length, id));
    });
  }

  takeAlongAxis(x: R, ids: R, axis: number): R {
    const at = normalizeAxis(axis, x.shape.length);
    const shape = this.#shape("takeAlongAxis", [x, ids], { axis: at });
    return generate(x.dtype, shape, (index) => read(x, index.with(at, read(ids, index))));
  }

  scatterAlongAxis(x: R, ids: R, updates: R, axis: number, reduction: "none" | "add"): R {
    const at = normalizeAxis(axis, x.shape.length);
    this.#shape("scatterAlongAxis", [x, ids, updates], { axis: at, reduction });
    return scatter(x, { ids, updates, axis: at, reduction });
  }

  topK(x: R, k: number, axis: number): TopK<R> {
    const at = normalizeAxis(axis, x.shape.length);
    const shape = this.#shape("topK", [x], { axis: at, k });
    const orderAt = ordersAlong(x, at);
    const indices = generate(
      "i64",
      shape,
      (index) => orderAt(index)[index[at] as number] as number,
    );
    return { values: this.takeAlongAxis(x, indices, at), indices };
  }

  // ── linear algebra and compound operations ──

  matmul(a: R, b: R, { transA = false, transB = false }: MatMulOptions = {}): R {
    const shape = this.#shape("matmul", [a, b], { transA, transB });
    return matmul(a, b, { transA, transB, shape });
  }

  softmax(x: R, axis: number): R {
    return this.exp(this.logSoftmax(x, axis));
  }

  logSoftmax(x: R, axis: number): R {
    const at = normalizeAxis(axis, x.shape.length);
    return generate(
      x.dtype,
      x.shape,
      (index) => read(x, index) - logSumExp(lineThrough(x, index, at)),
    );
  }

  logSumExp(x: R, axis: number): R {
    return this.#reduce(x, { axes: [axis] }, logSumExp);
  }

  rmsNorm(x: R, weight: R, eps: number): R {
    return this.mul(this.mul(x, this.inverseRms(x, eps)), weight);
  }

  inverseRms(x: R, eps: number): R {
    return this.#reduce(x, { axes: [-1], keepDims: true }, (values) => {
      return 1 / Math.sqrt(sum(values.map((value) => value * value)) / values.length + eps);
    });
  }

  layerNorm(x: R, weight: R, bias: R, eps: number): R {
    const centered = this.sub(x, this.reduceMean(x, { axes: [-1], keepDims: true }));
    return this.add(this.rmsNorm(centered, weight, eps), bias);
  }

  rotary(x: R, cos: R, sin: R, heads: number): R {
    return rotary(x, cos, sin, heads);
  }

  causalAttention(q: R, k: R, v: R, options: CausalAttentionOptions): R {
    return causalAttention(causalProbabilities(q, k, options), q, v, options);
  }

  causalProbabilities(q: R, k: R, options: CausalAttentionOptions): R {
    return causalProbabilities(q, k, options);
  }

  headSum(p: R, x: R, mass: number): R {
    const axis = p.shape.length - 1;
    return generate(p.dtype, this.#shape("headSum", [p, x], { mass }), (row) => {
      const values = lineThrough(p, [...row, 0], axis);
      let before = 0;
      const head = fallingOrder(values).filter((id, place) => {
        before += values[id]!;
        return place === 0 || before <= mass;
      });
      return sum(head.map((id) => read(x, [...row, id])));
    });
  }

  stopGradient(x: R): R {
    return x;
  }

  withGradient(value: R, x: R, slope: R): R {
    this.#shape("withGradient", [value, x, slope], {});
    return value;
  }
}
