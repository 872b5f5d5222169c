import { open } from "node:fs/promises";
import { basename, dirname } from "node:path";

import type { CheckpointWeights } from "../checkpoint/checkpoint-weights.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { readBytes, readSafetensorsFile } from "../checkpoint/safetensors-file.js";
import { damaged, type SafetensorsEntry } from "../checkpoint/safetensors-header.js";
import { safetensorsStart, type NamedShape } from "../checkpoint/write-safetensors.js";
import { writeFileAtomic } from "../checkpoint/write-file-atomic.js";
import { headName, listParameters, type ParameterSpec } from "../models/parameters.js";
import { quantizeBlocks } from "../quantization/block-bits.js";
import { quantizeInt8Columns } from "../quantization/int8-columns.js";
import {
  QUANTIZATION_VERSION,
  weightFormat,
  type Int8Sums,
  type Quantization,
  type WeightFormat,
} from "../quantization/quantization.js";
import type { ExternalBytes, QuantizedBytes } from "../tensor/op-attributes.js";
import {
  cutShape,
  fromTable,
  isVocabularyMatrix,
  type BoundWeight,
  type BoundWeights,
} from "./bound-weights.js";

export interface QuantizedModel {
  readonly config: ModelConfig;
  /** V. */
  readonly vocabulary: number;
  readonly quantization: Quantization;
}

/** A matrix that is only multiplied with. */
interface Linear {
  /** The parameter. */
  readonly name: string;
  /** What its tensors in the file begin with: the head may share a parameter with the embedding, which stays as it is. */
  readonly label: string;
  readonly outputs: number;
  readonly inputs: number;
  /** Stored as [in,out]. */
  readonly transposed: boolean;
  readonly format: WeightFormat;
}

const HEAD_LABEL = "head";

/** Writes the quantised weights of a checkpoint as one safetensors file, matrix by matrix: embeddings, norms and biases as they are, of each other matrix
 * the tensors of its format. sums: `int8Sums()`, which 8-bit weights are made for. @throws TandemError as CheckpointWeights.require and writeFileAtomic. */
export async function writeQuantized(
  path: string,
  files: CheckpointWeights,
  { sums, ...model }: QuantizedModel & { readonly sums: Int8Sums },
): Promise<void> {
  const linears = listLinears(model);
  const kept = keptParameters(model).map(({ name, shape }) => {
    const entry = files.require(name, shape);
    const rows = isVocabularyMatrix(model.config, name) ? model.vocabulary : undefined;
    return { name, dtype: entry.dtype, shape: cutShape(shape, rows), entry };
  });
  const tensors = [...kept, ...linears.flatMap(formatTensors)];
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield* safetensorsStart(tensors, {
      format: "tandem-quantized",
      version: String(QUANTIZATION_VERSION),
      quantization: model.quantization,
    });
    for (const { entry, shape } of kept) yield* rawBytes(entry, shape);
    for (const linear of linears)
      yield* quantize(await readLinear(files, linear, model), linear, sums);
  }
  await writeFileAtomic(path, chunks());
}

/** The weights that `writeQuantized` wrote.
 * @throws TandemError NOT_FOUND when there is no such file, DATA_LOSS when it lacks something. */
export async function bindQuantized(path: string, model: QuantizedModel): Promise<BoundWeights> {
  const file = await readSafetensorsFile(path);
  const entries = new Map(file.entries.map((entry) => [entry.name, entry]));
  const bytesOf = ({ name, dtype, shape }: NamedShape): ExternalBytes => {
    const entry = entries.get(name);
    if (entry?.dtype !== dtype || entry.shape.join() !== shape.join())
      throw damaged(file.path, `"${name}" is missing or has another form; delete the file`);
    const { offset, byteLength: length } = entry;
    return { location: basename(file.path), offset, length, dtype: GRAPH_DTYPE[dtype]! };
  };
  const bound = new Map<string, BoundWeight>();
  for (const { name, shape } of keptParameters(model)) {
    const rows = isVocabularyMatrix(model.config, name) ? model.vocabulary : undefined;
    const cut = cutShape(shape, rows);
    const dtype = entries.get(name)?.dtype ?? "F32";
    bound.set(name, { shape: cut, bytes: bytesOf({ name, dtype, shape: cut }) });
  }
  const head = new Map<string, BoundWeight>();
  for (const linear of listLinears(model)) {
    const { name, label, outputs, inputs, transposed } = linear;
    const shape = transposed ? [inputs, outputs] : [outputs, inputs];
    const bytes = bindFormat(linear, bytesOf);
    (label === HEAD_LABEL ? head : bound).set(name, { shape, bytes });
  }
  const session = { externalDataDir: dirname(file.path) };
  const headWeights: BoundWeights = {
    headCopy: () => headWeights,
    copy: () => headWeights,
    session,
    source: (builder) => fromTable(builder, head),
  };
  const weights: BoundWeights = {
    headCopy: () => headWeights,
    copy: () => weights,
    session,
    source: (builder) => fromTable(builder, bound),
  };
  return weights;
}

const GRAPH_DTYPE: Readonly<Record<string, ExternalBytes["dtype"]>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  I8: "i8",
  U8: "u8",
};

/** Embeddings (looked up, not multiplied with), norms and biases. */
function keptParameters({ config }: QuantizedModel): readonly ParameterSpec[] {
  return listParameters(config).filter(
    (spec) => !isLinear(config, spec) && spec.name !== "lm_head.weight",
  );
}

function isLinear(config: ModelConfig, { name, shape }: ParameterSpec): boolean {
  const isTable = isVocabularyMatrix(config, name) || name === "transformer.wpe.weight";
  return shape.length === 2 && !isTable;
}

function listLinears(model: QuantizedModel): readonly Linear[] {
  const { config, vocabulary } = model;
  const inBody = listParameters(config).filter((spec) => isLinear(config, spec));
  const transposed = config.family === "gpt2";
  const body = inBody.map(({ name, shape }): Linear => {
    const [first, second] = shape as readonly [number, number];
    const [outputs, inputs] = transposed ? [second, first] : [first, second];
    const format = weightFormat(name, inputs, model.quantization);
    return { name, label: name, outputs, inputs, transposed, format };
  });
  const inputs = config.hiddenSize;
  const head: Linear = {
    name: headName(config),
    label: HEAD_LABEL,
    outputs: vocabulary,
    inputs,
    transposed: false,
    format: weightFormat(HEAD_LABEL, inputs, model.quantization),
  };
  return [...body, head];
}

/** The tensors of a matrix in the file, in order. */
function formatTensors({ label, outputs, inputs, format }: Linear): readonly NamedShape[] {
  if (format.kind === "int8") {
    return [
      { name: `${label}.values`, dtype: "I8", shape: [inputs, outputs] },
      { name: `${label}.scales`, dtype: "F32", shape: [outputs] },
    ];
  }
  const { bits, block } = format;
  const blocks = Math.ceil(inputs / block);
  const pointBytes = Math.ceil((blocks * bits) / 8);
  return [
    { name: `${label}.values`, dtype: "U8", shape: [outputs, blocks, (block * bits) / 8] },
    { name: `${label}.scales`, dtype: "F32", shape: [outputs * blocks] },
    { name: `${label}.zeroPoints`, dtype: "U8", shape: [outputs * pointBytes] },
  ];
}

function bindFormat(
  linear: Linear,
  bytesOf: (tensor: NamedShape) => ExternalBytes,
): QuantizedBytes {
  const [values, scales, zeroPoints] = formatTensors(linear).map(bytesOf) as [
    ExternalBytes,
    ExternalBytes,
    ExternalBytes,
  ];
  return linear.format.kind === "int8"
    ? { ...linear.format, values, scales }
    : { ...linear.format, values, scales, zeroPoints };
}

function* quantize(
  weight: Float32Array,
  { outputs, format }: Linear,
  sums: Int8Sums,
): Generator<Uint8Array> {
  if (format.kind === "int8") {
    const { values, scales } = quantizeInt8Columns(weight, { outputs, sums, ...format });
    yield bytesOfArray(values);
    yield bytesOfArray(scales);
    return;
  }
  const { values, scales, zeroPoints } = quantizeBlocks(weight, { outputs, ...format });
  yield values;
  yield bytesOfArray(scales);
  yield zeroPoints;
}

/** f32 [out,in]. */
async function readLinear(
  files: CheckpointWeights,
  { name, inputs, outputs, transposed, label }: Linear,
  { config }: QuantizedModel,
): Promise<Float32Array> {
  const isHead = label === HEAD_LABEL;
  const shape = transposed ? [inputs, outputs] : [isHead ? config.vocabSize : outputs, inputs];
  const entry = files.require(name, shape);
  const weight = await files.read(entry, isHead ? outputs : undefined);
  return transposed ? transpose(weight, inputs, outputs) : weight;
}

function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = matrix[row * columns + column]!;
  }
  return result;
}

const PIECE_BYTES = 8 << 20;

/** The bytes of a tensor, cut to `shape` along its first axis. */
async function* rawBytes(
  entry: SafetensorsEntry & { readonly file: string },
  shape: readonly number[],
): AsyncGenerator<Uint8Array> {
  const kept = (entry.byteLength / (entry.shape[0] ?? 1)) * (shape[0] ?? 1);
  const handle = await open(entry.file, "r");
  try {
    for (let done = 0; done < kept; done += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, kept - done);
      yield await readBytes(handle, entry.offset + done, length, entry.file);
    }
  } finally {
    await handle.close();
  }
}

function bytesOfArray({ buffer, byteOffset, byteLength }: Int8Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
