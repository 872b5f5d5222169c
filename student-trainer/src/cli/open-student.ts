import { availableParallelism } from "node:os";

import type { ModelConfig } from "@tandem/shared/checkpoint/model-config.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { resolveModel } from "@tandem/shared/checkpoint/resolve-model.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { kvBytes, kvShape } from "@tandem/shared/inference/kv-shape.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";

import type { StudentModel } from "../checkpoint/student-model.js";
import type { RunConfig } from "../config/run-config.js";
import { StudentEngine } from "../rollout/student-engine.js";
import type { StudentTokenizer } from "../teacher/check-tokenizer.js";
import { loadTokenizer, type Tokenizer } from "@tandem/shared/tokenizer/tokenizer.js";

/** A student's directory: its configuration and tokenizer, no weights yet. */
export interface OpenStudent {
  readonly dir: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** For the handshake with a teacher. */
  readonly handshake: StudentTokenizer;
  /** Ids that end a response. */
  readonly stopIds: readonly number[];
}

/** Reads what a student is.
 * @throws TandemError NOT_FOUND, UNIMPLEMENTED, FAILED_PRECONDITION when its tokenizer has more ids than its embedding rows. */
export async function openStudent(
  model: string,
  options: { readonly revision?: string; readonly stopIds?: readonly number[] | undefined } = {},
): Promise<OpenStudent> {
  const dir = await resolveModel(model, {
    env: process.env,
    ...(options.revision === undefined ? {} : { revision: options.revision }),
  });
  const config = await readModelConfig(dir);
  const tokenizer = await loadTokenizerFor(config, dir);
  const stopIds = options.stopIds ?? config.eosTokenIds;
  const handshake = {
    ...tokenizer.identity,
    entry: (id: number) => tokenizer.entry(id),
    paddedVocabularySize: config.vocabSize,
  };
  return { dir, config, tokenizer, handshake, stopIds };
}

/** The tokenizer of a directory, for a model with a row of its embedding for each id.
 * @throws TandemError NOT_FOUND without tokenizer.json, FAILED_PRECONDITION when the tokenizer has more ids. */
export async function loadTokenizerFor(config: ModelConfig, dir: string): Promise<Tokenizer> {
  const tokenizer = await loadTokenizer(dir);
  if (tokenizer.vocabularySize <= config.vocabSize) return tokenizer;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `${dir}: the tokenizer has ${tokenizer.vocabularySize} ids, the embedding ${config.vocabSize} rows`,
    { field: "student.model" },
  );
}

export interface EngineOptions {
  readonly student: OpenStudent;
  readonly threads: number | null;
  readonly kvMemoryBytes: number | undefined;
}

/** A writer over the weights in memory; `publish` replaces them. */
export async function openTrainingEngine(
  model: StudentModel,
  { student, threads, kvMemoryBytes }: EngineOptions,
): Promise<{ readonly engine: StudentEngine; readonly close: () => Promise<void> }> {
  const runner = await ModelRunner.fromWeights({
    config: model.config,
    weights: model.weights,
    threads: threads ?? availableParallelism(),
    vocabulary: student.tokenizer.vocabularySize,
    ...(kvMemoryBytes === undefined ? {} : { kvBytes: kvMemoryBytes }),
  });
  return { engine: new StudentEngine(runner), close: () => runner.close() };
}

/** A writer over the files of a checkpoint, for commands that do not train. */
export async function openFileEngine({ student, threads, kvMemoryBytes }: EngineOptions): Promise<{
  readonly engine: StudentEngine;
  readonly close: () => Promise<void>;
}> {
  const runner = await ModelRunner.load({
    dir: student.dir,
    threads: threads ?? availableParallelism(),
    vocabulary: student.tokenizer.vocabularySize,
    ...(kvMemoryBytes === undefined ? {} : { kvBytes: kvMemoryBytes }),
  });
  return { engine: new StudentEngine(runner), close: () => runner.close() };
}

/** Memory for the keys and values of rows of a length; half as much again, since slots of several lengths coexist while rows grow. */
export function kvBytesFor(config: ModelConfig, rows: number, length: number): number {
  return Math.max(2 ** 28, Math.ceil(1.5 * rows * kvBytes(kvShape(config), length)));
}

/** Longest prompt that leaves room for a response. @throws INVALID_ARGUMENT when there is none. */
export function promptRoom(config: RunConfig, contextLength: number): number {
  const room = contextLength - config.rollout.maxResponse;
  if (room < 1) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `rollout.maxResponse ${config.rollout.maxResponse} leaves no room for a prompt in a context of ${contextLength} tokens`,
      { field: "rollout.maxResponse", limit: contextLength - 1 },
    );
  }
  return Math.min(config.data.maxPrompt, room);
}
