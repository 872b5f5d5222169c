import { invariant } from "../../errors/invariant.js";
import { TandemError } from "../../errors/tandem-error.js";
import { sameShape } from "../../tensor/broadcast.js";
import { dimTerms, isSymbol } from "../../tensor/dim.js";
import type {
  ConstantData,
  ExternalBytes,
  OpAttributes,
  OpName,
  QuantizedBytes,
} from "../../tensor/op-attributes.js";
import type { DType, Dim, Shape } from "../../tensor/tensor-ops.js";
import type { GraphNode, GraphTensor } from "../graph.js";
import { nodeKey } from "../node-key.js";
import { TENSOR_DATA_TYPE } from "../onnx-proto.js";
import type {
  OnnxAttributes,
  OnnxDomain,
  OnnxInitializer,
  OnnxModel,
  OnnxNode,
  OnnxValue,
} from "../onnx-model.js";

export interface EmitOptions {
  readonly attributes?: OnnxAttributes;
  readonly domain?: OnnxDomain;
}

/** A weight in few bits, by the name its initializers begin with. */
export interface QuantizedWeight {
  readonly name: string;
  readonly bytes: QuantizedBytes;
}

/** value [N,·] times scale [N]. */
export interface ScaledRows {
  readonly value: string;
  readonly scale: string;
}

/** The largest values along an axis, falling, and where they are. */
export interface LargestValues {
  readonly values: string;
  readonly places: string;
}

/** As many as a rotation of 64 × 64 has. */
const MAX_COMPARED_BYTES = 2 ** 14;

/** Collects ONNX nodes while a graph is lowered. Equal nodes are emitted once. */
export class Lowering {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly #names = new Map<GraphTensor, string>();
  /** Half-precision parameters by the name of their bytes: widened where a float32 operand is wanted, which few may be. */
  readonly #halves = new Map<GraphTensor, string>();
  readonly #quantized = new Map<GraphTensor, QuantizedWeight>();
  readonly #scaled = new Map<GraphTensor, ScaledRows>();
  readonly #emitted = new Map<string, readonly string[]>();
  readonly #needed: ReadonlySet<string>;
  readonly #useCounts = new Map<GraphTensor, number>();
  /** What a reshaped value was reshaped from. */
  readonly #origins = new Map<string, { readonly value: string; readonly shape: Shape }>();
  readonly #offered = new Map<string, string>();
  readonly #largest = new Map<string, LargestValues>();
  readonly #sizeSources = new Map<string, { readonly value: string; readonly axis: number }>();
  #count = 0;

  readonly #prefix: string;

  /** `nodes`: all that will be lowered, so that a rule can share work with another node. `prefix`: of the names in the body of a node,
   * which share one space with those around it. */
  constructor(nodes: readonly GraphNode[], prefix = "") {
    this.#prefix = prefix;
    const keys = nodes.map((node) => nodeKey(node.kind, node.inputs, node.attributes));
    this.#needed = new Set(keys.filter((key) => key !== undefined));
    for (const input of nodes.flatMap((node) => node.inputs)) {
      this.#useCounts.set(input, this.useCount(input) + 1);
    }
  }

  /** How many operands of the graph's operations a tensor is. */
  useCount(tensor: GraphTensor): number {
    return this.#useCounts.get(tensor) ?? 0;
  }

  /** Is this operation part of the graph? */
  needs<O extends OpName>(
    kind: O,
    inputs: readonly GraphTensor[],
    attributes: OpAttributes[O],
  ): boolean {
    const key = nodeKey(kind, inputs, attributes);
    return key !== undefined && this.#needed.has(key);
  }

  /** Says that a value is also the result of another operation, which may then take it instead of computing it. */
  offer<O extends OpName>(
    kind: O,
    inputs: readonly GraphTensor[],
    { attributes, value }: { readonly attributes: OpAttributes[O]; readonly value: string },
  ): void {
    const key = nodeKey(kind, inputs, attributes);
    if (key !== undefined) this.#offered.set(key, value);
  }

  offered({ kind, inputs, attributes }: GraphNode): string | undefined {
    const key = nodeKey(kind, inputs, attributes);
    return key === undefined ? undefined : this.#offered.get(key);
  }

  /** Notes the largest values of a value, so that its maximum need not be looked for again. */
  noteLargest(value: string, axis: number, largest: LargestValues): void {
    this.#largest.set(`${value} ${axis}`, largest);
  }

  largestOf(value: string, axis: number): LargestValues | undefined {
    return this.#largest.get(`${value} ${axis}`);
  }

  /** The ONNX value that holds a tensor. */
  nameOf(tensor: GraphTensor): string {
    invariant(!this.#quantized.has(tensor), "only a product reads a quantised weight");
    const half = this.#halves.get(tensor);
    const name = half === undefined ? this.#names.get(tensor) : this.widen(half);
    invariant(
      name !== undefined,
      `${tensor.node.kind} ${tensor.node.id} is lowered before its use`,
    );
    return name;
  }

  namesOf(tensors: readonly GraphTensor[]): readonly string[] {
    return tensors.map((tensor) => this.nameOf(tensor));
  }

  /** Binds a tensor to its value, and symbols that occur in its shape for the first time to its axes. */
  bind(tensor: GraphTensor, name: string): void {
    this.#names.set(tensor, name);
    tensor.shape.forEach((dim, axis) => {
      if (isSymbol(dim) && !this.#sizeSources.has(dim)) {
        this.#sizeSources.set(dim, { value: name, axis });
      }
    });
  }

  /** Binds a float32 tensor to bytes of half its width. */
  bindHalf(tensor: GraphTensor, name: string): void {
    this.#halves.set(tensor, name);
  }

  /** The bytes of a half-precision parameter, for rules that do with fewer than all of its values. */
  halfOf(tensor: GraphTensor): string | undefined {
    return this.#halves.get(tensor);
  }

  /** Notes that a tensor is the product of an unscaled value with a scale per row. */
  bindScaled(tensor: GraphTensor, parts: ScaledRows): void {
    this.#scaled.set(tensor, parts);
  }

  scaledOf(tensor: GraphTensor): ScaledRows | undefined {
    return this.#scaled.get(tensor);
  }

  bindQuantized(tensor: GraphTensor, weight: QuantizedWeight): void {
    this.#quantized.set(tensor, weight);
  }

  quantizedOf(tensor: GraphTensor): QuantizedWeight | undefined {
    return this.#quantized.get(tensor);
  }

  /** A constant whose bytes stay in a file. */
  external(name: string, shape: readonly number[], external: ExternalBytes): string {
    if (!this.initializers.some((known) => known.name === name))
      this.initializers.push({ name, dtype: external.dtype, shape, content: { external } });
    return name;
  }

  widen(half: string): string {
    return this.emit("Cast", [half], { attributes: { to: { int: TENSOR_DATA_TYPE.f32 } } });
  }

  /** Names of ours begin with a slash, so that they never meet one of the graph's interface. */
  #freshName(hint: string): string {
    return `${this.#prefix}/${hint}_${this.#count++}`;
  }

  /** Names in the body of a node begin with it. */
  bodyPrefix(): string {
    return this.#freshName("body");
  }

  /** Appends a node with one result. */
  emit(opType: string, inputs: readonly string[], options: EmitOptions = {}): string {
    return this.emitAll(opType, inputs, 1, options)[0] as string;
  }

  /** Appends a node with several results, or finds the equal one. */
  emitAll(
    opType: string,
    inputs: readonly string[],
    resultCount: number,
    { attributes = {}, domain = "" }: EmitOptions = {},
  ): readonly string[] {
    const key = JSON.stringify([domain, opType, inputs, attributes, resultCount]);
    const known = this.#emitted.get(key);
    if (known !== undefined) return known;
    const outputs = Array.from({ length: resultCount }, () => this.#freshName(opType));
    this.nodes.push({ opType, domain, inputs, outputs, attributes });
    this.#emitted.set(key, outputs);
    return outputs;
  }

  /** Appends a node that is equal to no other. */
  append(
    opType: string,
    inputs: readonly string[],
    { attributes, results }: { readonly attributes: OnnxAttributes; readonly results: number },
  ): readonly string[] {
    const outputs = Array.from({ length: results }, () => this.#freshName(opType));
    this.nodes.push({ opType, domain: "", inputs, outputs, attributes });
    return outputs;
  }

  /** A value that one of two branches computes. Both see all values emitted so far. */
  emitIf(
    condition: string,
    result: Omit<OnnxValue, "name">,
    branches: Readonly<Record<"yes" | "no", (inner: Lowering) => string>>,
  ): string {
    const lower = (rule: (inner: Lowering) => string): OnnxModel => {
      const inner = new Lowering([], this.bodyPrefix());
      const name = rule(inner);
      const { nodes, initializers } = inner;
      return { inputs: [], outputs: [{ name, ...result }], initializers, nodes };
    };
    const [output] = this.append("If", [condition], {
      attributes: {
        then_branch: { graph: lower(branches.yes) },
        else_branch: { graph: lower(branches.no) },
      },
      results: 1,
    });
    return output as string;
  }

  /** A constant baked into the model. Equal ones are shared, but for huge ones, which are not worth comparing. */
  constant(dtype: DType, shape: readonly number[], data: ConstantData): string {
    const key =
      data.byteLength <= MAX_COMPARED_BYTES
        ? `${dtype}[${shape.join(",")}]${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1")}`
        : undefined;
    const known = key === undefined ? undefined : this.#emitted.get(key);
    if (known !== undefined) return known[0] as string;
    const name = this.#freshName("const");
    this.initializers.push({ name, dtype, shape, content: { inline: data } });
    if (key !== undefined) this.#emitted.set(key, [name]);
    return name;
  }

  /** i64 vector. */
  ints(values: readonly number[]): string {
    return this.constant("i64", [values.length], BigInt64Array.from(values.map(BigInt)));
  }

  float(value: number, dtype: DType = "f32"): string {
    const data = dtype === "f64" ? Float64Array.of(value) : Float32Array.of(value);
    return this.constant(dtype, [], data);
  }

  /** A size as an i64 [1] value, computed from run-time shapes where it has symbols. */
  size(dim: Dim): string {
    if (typeof dim === "number") return this.ints([dim]);
    const terms = dimTerms(dim).map(({ factor, symbols }) => {
      const factors = symbols.map((symbol) => this.#symbolSize(symbol));
      if (factor !== 1 || factors.length === 0) factors.push(this.ints([factor]));
      return factors.reduce((a, b) => this.emit("Mul", [a, b]));
    });
    return terms.reduce((a, b) => this.emit("Add", [a, b]));
  }

  /** A shape as an i64 vector. */
  shape(shape: Shape): string {
    const sizes = shape.filter((dim) => typeof dim === "number");
    if (sizes.length === shape.length) return this.ints(sizes);
    const parts = shape.map((dim) => this.size(dim));
    return this.emit("Concat", parts, { attributes: { axis: { int: 0 } } });
  }

  /** Reshape of a value. Reshapes of reshapes start from the first value, so that equal ones are found equal. */
  reshape(value: string, from: Shape, to: Shape): string {
    if (sameShape(from, to)) return value;
    const origin = this.#origins.get(value) ?? { value, shape: from };
    if (sameShape(origin.shape, to)) return origin.value;
    const reshaped = this.#emitReshape(origin.value, origin.shape, to);
    this.#origins.set(reshaped, origin);
    return reshaped;
  }

  /** With as little run-time shape arithmetic as the symbols allow. */
  #emitReshape(value: string, from: Shape, to: Shape): string {
    const spec = to.map((dim, axis) =>
      typeof dim === "number" ? dim : dim === from[axis] ? 0 : -1,
    );
    // −1 cannot be inferred beside a size of zero, and 0 means "copy" only where no size is zero by itself.
    const isStatic = spec.filter((size) => size === -1).length <= 1 && !to.includes(0);
    if (isStatic) return this.emit("Reshape", [value, this.ints(spec)]);
    return this.emit("Reshape", [value, this.shape(to)], { attributes: { allowzero: { int: 1 } } });
  }

  transpose(value: string, permutation: readonly number[]): string {
    return this.emit("Transpose", [value], { attributes: { perm: { ints: permutation } } });
  }

  #symbolSize(symbol: string): string {
    const source = this.#sizeSources.get(symbol);
    if (source === undefined) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `the size "${symbol}" is used in a shape but is the size of no input or earlier result`,
      );
    }
    return this.emit("Shape", [source.value], {
      attributes: { start: { int: source.axis }, end: { int: source.axis + 1 } },
    });
  }
}
