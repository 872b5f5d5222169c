import { basename, dirname } from "node:path";

import type { CheckpointWeights, WeightEntry } from "../checkpoint/checkpoint-weights.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { TandemError } from "../errors/tandem-error.js";
import { embeddingName, headName, listParameters } from "../models/parameters.js";
import type { WeightSource } from "../models/decoder-parts.js";
import type { GraphTensor } from "../onnx/graph.js";
import type { GraphBuilder } from "../onnx/graph-builder.js";
import type { ExternalBytes } from "../tensor/op-attributes.js";

/** Where a model's weights come from, for graphs of inference: constants of the graph, so that the runtime can pack them. */
export interface BoundWeights {
  /** Weights as tensors of a graph under construction. */
  source(builder: GraphBuilder): WeightSource<GraphTensor>;
  /** Directory of the files the graph refers to, if it does. */
  readonly directory?: string;
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
  return {
    directory,
    source: (builder) =>
      memoize((name) => {
        const { shape, bytes } = expectWeight(bound, name);
        return builder.parameter(name, shape, bytes);
      }),
  };
}

/** Weights in memory, copied into the serialised graph.
 * @throws TandemError INVALID_ARGUMENT for missing or misshapen weights. */
export function bindArrays(
  config: ModelConfig,
  arrays: ReadonlyMap<string, Float32Array>,
  vocabulary: number,
): BoundWeights {
  const shapes = new Map(listParameters(config).map(({ name, shape }) => [name, shape] as const));
  for (const [name, shape] of shapes) {
    const size = shape.reduce((a, b) => a * b, 1);
    if (arrays.get(name)?.length !== size) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `weight "${name}" needs ${size} values [${shape.join(",")}], given were ${arrays.get(name)?.length ?? "none"}`,
        { field: "weights" },
      );
    }
  }
  return {
    source: (builder) =>
      memoize((name) => {
        const rows = isVocabularyMatrix(config, name) ? vocabulary : undefined;
        const shape = cutShape(expectWeight(shapes, name), rows);
        const size = shape.reduce((a, b) => a * b, 1);
        return builder.constant(expectWeight(arrays, name).subarray(0, size), shape);
      }),
  };
}

function isVocabularyMatrix(config: ModelConfig, name: string): boolean {
  return name === embeddingName(config) || name === headName(config);
}

function cutShape(shape: readonly number[], rows: number | undefined): readonly number[] {
  return rows === undefined ? shape : [rows, ...shape.slice(1)];
}

const GRAPH_DTYPE = { F32: "f32", F16: "f16", BF16: "bf16" } as const;

function externalBytes(entry: WeightEntry, rows: number | undefined): ExternalBytes {
  const length =
    rows === undefined ? entry.byteLength : (entry.byteLength / entry.shape[0]!) * rows;
  return {
    location: basename(entry.file),
    offset: entry.offset,
    length,
    dtype: GRAPH_DTYPE[entry.dtype],
  };
}

function expectWeight<T>(table: ReadonlyMap<string, T>, name: string): T {
  const found = table.get(name);
  if (found === undefined)
    throw new TandemError("INTERNAL", `the model asks for the unknown weight "${name}"`);
  return found;
}

function memoize(make: (name: string) => GraphTensor): WeightSource<GraphTensor> {
  const made = new Map<string, GraphTensor>();
  return (name) => {
    let tensor = made.get(name);
    if (tensor === undefined) {
      tensor = make(name);
      made.set(name, tensor);
    }
    return tensor;
  };
}
