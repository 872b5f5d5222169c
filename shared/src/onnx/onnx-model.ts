/** A graph of ONNX nodes before serialisation: names instead of tensors. */
import type { ConstantData, ExternalBytes } from "../tensor/op-attributes.js";
import type { DType, Shape } from "../tensor/tensor-ops.js";

/** "" is the standard set, `com.microsoft` that of onnxruntime. */
export type OnnxDomain = "" | "com.microsoft";

export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly string: string }
  | { readonly graph: OnnxModel };

export type OnnxAttributes = Readonly<Record<string, OnnxAttribute>>;

export interface OnnxNode {
  readonly opType: string;
  readonly domain: OnnxDomain;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: OnnxAttributes;
}

export interface OnnxValue {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface OnnxInitializer {
  readonly name: string;
  /** i8 occurs only here: weights of integer products. */
  readonly dtype: DType | "i8";
  readonly shape: readonly number[];
  readonly content: { readonly inline: ConstantData } | { readonly external: ExternalBytes };
}

export interface OnnxModel {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: readonly OnnxInitializer[];
  readonly nodes: readonly OnnxNode[];
}
