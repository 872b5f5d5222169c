import { basename, dirname } from "node:path";

import type { CheckpointWeights, WeightEntry } from "../checkpoint/checkpoint-weights.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { invariant } from "../errors/invariant.js";
import { TandemError } from "../errors/tandem-error.js";
import { embeddingName, headName, listParameters } from "../models/parameters.js";
import type { WeightSource } from "../models/decoder-parts.js";
import type { GraphTensor } from "../onnx/graph.js";
import type { GraphBuilder } from "../onnx/graph-builder.js";
import type { SessionOptions } from "../runtime/session.js";
import type { ExternalBytes, QuantizedBytes } from "../tensor/op-attributes.js";

/** Where a model's weights come from, for graphs of inference: constants of the graph, so that the runtime can pack them. */
export interface BoundWeights {
  /** Weights as tensors of a graph under construction. */
  source(builder: GraphBuilder): WeightSource<GraphTensor>;
  /** What graphs of the head take, for use at a later time, when arrays may have changed: the head's matrix is copied, the rest left out. */
  headCopy(): BoundWeights;
  /** All of them, for use at a later time. */
  copy(): BoundWeights;
  /** What a session over such a graph needs to find the bytes. */
  readonly session: Pick<SessionOptions, "externalDataDir" | "externalData">;
}

/** Weights that stay in the .safetensors files; embedding and head are cut to V rows, which only shortens what is read.
 * @throws TandemError DATA_LOSS for missing or misshapen weights, FAILED_PRECONDITION when shards lie in several directories. */
export function bindFiles(
  config: ModelConfig,
  files: CheckpointWeights,
  vocabulary: number,
): BoundWeights {
  const bound = new Map(
    listParameters(config).map(({ name, shape }) => {
      const entry = files.require(name, shape);
      const rows = isVocabularyMatrix(config, name) ? vocabulary : undefined;
      return [name, { shape: cutShape(shape, rows), bytes: externalBytes(entry, rows) }] as const;
    }),
  );
  const directories = new Set(
    [...listParameters(config)].map(({ name, shape }) => dirname(files.require(name, shape).file)),
  );
  const [directory] = directories;
  if (directories.size !== 1 || directory === undefined) {
    throw new TandemError(
      "FAILED_PRECONDITION",
      `the shards of the model lie in ${[...directories].join(" and ")}; put them into one directory`,
      { field: "model" },
    );
  }
  const weights: BoundWeights = {
    headCopy: () => weights,
    copy: () => weights,
    session: { externalDataDir: directory },
    source: (builder) => fromTable(builder, bound),
  };
  return weights;
}

/** Weights in memory: the graph refers to each array as a file of its name.
 * @throws TandemError INVALID_ARGUMENT for missing or misshapen weights. */
export function bindArrays(
  config: ModelConfig,
  arrays: ReadonlyMap<string, Float32Array>,
  vocabulary: number,
): BoundWeights {
  const bound = new Map<string, BoundWeight>();
  const externalData = new Map<string, Uint8Array>();
  const head = headName(config);
  for (const { name, shape } of listParameters(config)) {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = arrays.get(name);
    if (data?.length !== size) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `weight "${name}" needs ${size} values [${shape.join(",")}], given were ${data?.length ?? "none"}`,
        { field: "weights" },
      );
    }
    const kept = cutShape(shape, isVocabularyMatrix(config, name) ? vocabulary : undefined);
    const length = 4 * kept.reduce((a, b) => a * b, 1);
    bound.set(name, { shape: kept, bytes: { location: name, offset: 0, length, dtype: "f32" } });
    externalData.set(name, new Uint8Array(data.buffer, data.byteOffset, length));
  }
  const bindTo = (data: ReadonlyMap<string, Uint8Array>): BoundWeights => ({
    headCopy: () => bindTo(new Map([[head, data.get(head)!.slice()]])),
    copy: () => bindTo(new Map([...data].map(([name, bytes]) => [name, bytes.slice()]))),
    session: { externalData: data },
    source: (builder) => fromTable(builder, bound),
  });
  return bindTo(externalData);
}

export interface BoundWeight {
  readonly shape: readonly number[];
  readonly bytes: ExternalBytes | QuantizedBytes;
}

/** One parameter per name, however often the model asks for it. */
export function fromTable(
  builder: GraphBuilder,
  bound: ReadonlyMap<string, BoundWeight>,
): WeightSource<GraphTensor> {
  const made = new Map<string, GraphTensor>();
  return (name) => {
    const weight = bound.get(name);
    invariant(weight !== undefined, `the model has a weight "${name}"`);
    const tensor = made.get(name) ?? builder.parameter(name, weight.shape, weight.bytes);
    made.set(name, tensor);
    return tensor;
  };
}

/** The embedding or the head: V rows. */
export function isVocabularyMatrix(config: ModelConfig, name: string): boolean {
  return name === embeddingName(config) || name === headName(config);
}

export function cutShape(shape: readonly number[], rows: number | undefined): readonly number[] {
  return rows === undefined ? shape : [rows, ...shape.slice(1)];
}

const GRAPH_DTYPE = { F32: "f32", F16: "f16", BF16: "bf16" } as const;

export function externalBytes(entry: WeightEntry, rows: number | undefined): ExternalBytes {
  const length =
    rows === undefined ? entry.byteLength : (entry.byteLength / entry.shape[0]!) * rows;
  return {
    location: basename(entry.file),
    offset: entry.offset,
    length,
    dtype: GRAPH_DTYPE[entry.dtype],
  };
}
