import type { OpName } from "../../tensor/op-attributes.js";
import type { NodeOf } from "../graph.js";
import type { Lowering } from "./lowering.js";

/** Emits the ONNX nodes of one operation and returns the values of its results. */
export type LowerRule<O extends OpName> = (
  lowering: Lowering,
  node: NodeOf<O>,
) => string | readonly string[];
export type LowerRules<O extends OpName> = { readonly [K in O]: LowerRule<K> };
