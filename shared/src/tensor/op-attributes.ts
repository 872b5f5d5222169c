/**
 * The typed operation table: operation name → its attributes, in canonical form (axes counted from the front, shapes
 * without −1). Shape inference, lowering, replay and gradient rules are each a table over these names, so that an
 * operation missing in one of them does not compile.
 */
import type { CausalAttentionOptions, DType, Dim, Shape, Tensor } from "./tensor-ops.js";

export type NoAttributes = Readonly<Record<never, never>>;

export interface AxisAttributes {
  readonly axis: number;
}

export interface ReduceAttributes {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

export type ConstantData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

/** Where the bytes of a parameter lie: little-endian, row-major, in a file beside others of its directory. */
export interface ExternalBytes {
  /** Base name inside the session's external data directory. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
  readonly dtype: "f32" | "f16" | "bf16" | "i8" | "u8";
}

/** A weight matrix in few bits, which only `matmul` reads, as its second operand. What is stored is W·H, H being blocks of a
 * Hadamard matrix (`quantization/hadamard.ts`): the inputs are rotated likewise, so that no single one of them sets the scale. */
export type QuantizedBytes = Int8Columns | BlockBits;

/** y[n,o] = a[n]·s[o]·Σ_i q[n,i]·w[i,o]: 8-bit weights with a scale per output, 8-bit inputs with a scale per row. */
export interface Int8Columns {
  readonly kind: "int8";
  /** Width of the Hadamard blocks; 1 = not rotated. */
  readonly rotation: number;
  /** i8 [in,out]. */
  readonly values: ExternalBytes;
  /** f32 [out]. */
  readonly scales: ExternalBytes;
}

/** Weights in blocks along the inputs, each with a scale and a zero point (`MatMulNBits`). */
export interface BlockBits {
  readonly kind: "blocks";
  readonly bits: 4 | 8;
  /** Inputs per block. */
  readonly block: number;
  /** u8 [out, in/block, block·bits/8], low bits first. */
  readonly values: ExternalBytes;
  /** f32 [out·in/block]. */
  readonly scales: ExternalBytes;
  /** u8 [out · ⌈(in/block)·bits/8⌉], low bits first. */
  readonly zeroPoints: ExternalBytes;
}

export interface SourceAttributes {
  readonly input: { readonly name: string; readonly dtype: DType; readonly shape: Shape };
  readonly parameter: {
    readonly name: string;
    readonly shape: readonly number[];
    readonly bytes: ExternalBytes | QuantizedBytes;
  };
  readonly constant: {
    readonly dtype: DType;
    readonly shape: readonly number[];
    readonly data: ConstantData;
  };
}

/** Operations of `TensorOps`, by family: each has a gradient rule (or states that it has none). */
export interface ElementwiseAttributes {
  readonly add: NoAttributes;
  readonly sub: NoAttributes;
  readonly mul: NoAttributes;
  readonly div: NoAttributes;
  readonly maximum: NoAttributes;
  readonly minimum: NoAttributes;
  readonly neg: NoAttributes;
  readonly exp: NoAttributes;
  readonly log: NoAttributes;
  readonly sqrt: NoAttributes;
  readonly reciprocal: NoAttributes;
  readonly abs: NoAttributes;
  readonly tanh: NoAttributes;
  readonly sigmoid: NoAttributes;
  readonly erf: NoAttributes;
  readonly sin: NoAttributes;
  readonly cos: NoAttributes;
  readonly relu: NoAttributes;
  readonly silu: NoAttributes;
  readonly gelu: { readonly approximate: "erf" | "tanh" };
  readonly greater: NoAttributes;
  readonly greaterEqual: NoAttributes;
  readonly less: NoAttributes;
  readonly equal: NoAttributes;
  readonly logicalAnd: NoAttributes;
  readonly logicalOr: NoAttributes;
  readonly logicalNot: NoAttributes;
  readonly where: NoAttributes;
  readonly cast: { readonly dtype: DType };
  readonly stopGradient: NoAttributes;
  readonly withGradient: NoAttributes;
}

export interface ReductionAttributes {
  readonly reduceSum: ReduceAttributes;
  readonly reduceMean: ReduceAttributes;
  readonly reduceMax: ReduceAttributes;
  readonly reduceMin: ReduceAttributes;
  readonly argmax: AxisAttributes;
  readonly headSum: { readonly mass: number };
  readonly cumsum: { readonly axis: number; readonly reverse: boolean };
}

export interface ShapeAttributes {
  readonly reshape: { readonly shape: Shape };
  readonly transpose: { readonly permutation: readonly number[] };
  readonly slice: { readonly axis: number; readonly start: Dim; readonly end: Dim };
  readonly pad: { readonly axis: number; readonly before: Dim; readonly after: Dim };
  readonly concat: AxisAttributes;
  readonly sizeOf: { readonly size: Dim };
  readonly expand: { readonly shape: Shape };
}

export interface IndexingAttributes {
  readonly gather: AxisAttributes;
  readonly takeAlongAxis: AxisAttributes;
  readonly scatterAlongAxis: { readonly axis: number; readonly reduction: "none" | "add" };
  readonly topK: { readonly axis: number; readonly k: number };
}

export interface CompoundAttributes {
  readonly matmul: { readonly transA: boolean; readonly transB: boolean };
  readonly softmax: AxisAttributes;
  readonly logSoftmax: AxisAttributes;
  readonly logSumExp: AxisAttributes;
  readonly rmsNorm: { readonly eps: number };
  readonly inverseRms: { readonly eps: number };
  readonly layerNorm: { readonly eps: number };
  readonly rotary: { readonly heads: number };
  readonly causalAttention: CausalAttentionOptions;
  readonly causalProbabilities: CausalAttentionOptions;
}

export interface TensorOpAttributes
  extends
    ElementwiseAttributes,
    ReductionAttributes,
    ShapeAttributes,
    IndexingAttributes,
    CompoundAttributes {}

/** Operations of `InferenceOps`: no gradient. */
export interface InferenceOpAttributes {
  readonly slotAttention: CausalAttentionOptions;
  readonly topKDynamic: { readonly size: string };
  readonly countGreater: NoAttributes;
}

/** A graph inside a node, as far as its own types go. */
export interface BodyGraph {
  readonly nodes: readonly object[];
  readonly outputs: readonly { readonly name: string; readonly tensor: Tensor }[];
}

/** Operations that run a graph of their own. */
export interface BodyAttributes {
  readonly rowBlocks: {
    /** Its first inputs are the blocks, the others what all blocks share. */
    readonly body: BodyGraph;
    /** How many of the inputs are cut into blocks. */
    readonly rowInputs: number;
    readonly blockRows: number;
    /** How many of the results are rows again; the others are summed over the blocks. */
    readonly rowResults: number;
  };
}

export interface OpAttributes
  extends SourceAttributes, TensorOpAttributes, InferenceOpAttributes, BodyAttributes {}

export type SourceOpName = keyof SourceAttributes;
export type TensorOpName = keyof TensorOpAttributes;
export type InferenceOpName = keyof InferenceOpAttributes;
export type BodyOpName = keyof BodyAttributes;
export type OpName = keyof OpAttributes;
export type ElementwiseOpName = keyof ElementwiseAttributes;
export type ReductionOpName = keyof ReductionAttributes;
export type ShapeOpName = keyof ShapeAttributes;
export type IndexingOpName = keyof IndexingAttributes;
export type CompoundOpName = keyof CompoundAttributes;
