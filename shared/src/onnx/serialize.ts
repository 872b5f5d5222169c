import type { ConstantData, ExternalBytes } from "../tensor/op-attributes.js";
import type { Dim } from "../tensor/tensor-ops.js";
import type { Graph } from "./graph.js";
import { lowerGraph } from "./lower/lower-graph.js";
import type {
  OnnxAttribute,
  OnnxInitializer,
  OnnxModel,
  OnnxNode,
  OnnxValue,
} from "./onnx-model.js";
import {
  ATTRIBUTE_TYPE,
  EXTERNAL_DATA_LOCATION,
  ModelProto,
  TENSOR_DATA_TYPE,
} from "./onnx-proto.js";

const OPSET_VERSION = 24;
const IR_VERSION = 12;

/** The bytes of an ONNX model that computes the graph. Inputs and outputs keep their names. */
export function serializeGraph(graph: Graph): Uint8Array {
  const model = lowerGraph(graph);
  const message = ModelProto.fromObject({
    irVersion: IR_VERSION,
    producerName: "tandem",
    opsetImport: [
      { domain: "", version: OPSET_VERSION },
      { domain: "com.microsoft", version: 1 },
    ],
    graph: toGraphProto(model),
  });
  return ModelProto.encode(message).finish();
}

function toGraphProto(model: OnnxModel): object {
  return {
    name: "tandem",
    node: model.nodes.map(toNodeProto),
    initializer: model.initializers.map(toTensorProto),
    input: model.inputs.map(toValueInfo),
    output: model.outputs.map(toValueInfo),
  };
}

function toNodeProto(node: OnnxNode): object {
  return {
    name: node.outputs[0],
    opType: node.opType,
    domain: node.domain,
    input: node.inputs,
    output: node.outputs,
    attribute: Object.entries(node.attributes).map(([name, value]) => toAttribute(name, value)),
  };
}

function toAttribute(name: string, value: OnnxAttribute): object {
  if ("int" in value) return { name, type: ATTRIBUTE_TYPE.int, i: value.int };
  if ("float" in value) return { name, type: ATTRIBUTE_TYPE.float, f: value.float };
  if ("ints" in value) return { name, type: ATTRIBUTE_TYPE.ints, ints: value.ints };
  if ("graph" in value) return { name, type: ATTRIBUTE_TYPE.graph, g: toGraphProto(value.graph) };
  return { name, type: ATTRIBUTE_TYPE.string, s: new TextEncoder().encode(value.string) };
}

function toTensorProto({ name, dtype, shape, content }: OnnxInitializer): object {
  const common = { name, dims: shape, dataType: TENSOR_DATA_TYPE[dtype] };
  if ("inline" in content) return { ...common, rawData: bytesOf(content.inline) };
  return {
    ...common,
    dataLocation: EXTERNAL_DATA_LOCATION,
    externalData: externalEntries(content.external),
  };
}

function externalEntries({ location, offset, length }: ExternalBytes): object[] {
  return [
    { key: "location", value: location },
    { key: "offset", value: String(offset) },
    { key: "length", value: String(length) },
  ];
}

/** Typed arrays are little-endian on every platform Node runs on with onnxruntime. */
function bytesOf(data: ConstantData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function toValueInfo({ name, dtype, shape }: OnnxValue): object {
  const elemType = TENSOR_DATA_TYPE[dtype];
  return { name, type: { tensorType: { elemType, shape: { dim: shape.map(toDimension) } } } };
}

function toDimension(dim: Dim): object {
  return typeof dim === "number" ? { dimValue: dim } : { dimParam: dim };
}
