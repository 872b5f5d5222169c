import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { StepRow, StepRowResult } from "@tandem/shared/inference/step.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { invariant } from "@tandem/shared/errors/invariant.js";

import type { StudentEngine } from "./student-engine.js";
import { setImmediate as turn } from "node:timers/promises";

export interface GenerateRowsOptions {
  readonly engine: StudentEngine;
  readonly prompts: readonly { readonly prompt: Uint32Array; readonly rngKey: number }[];
  readonly sampling: SamplingParams;
  readonly runSeed: number;
  /** Tokens of a response at most; fewer where a prompt leaves less room in the model's context. */
  readonly maxResponse: number;
  readonly stopIds: ReadonlySet<number>;
  readonly concurrency: number;
  readonly abort?: AbortSignal;
  readonly onToken?: (index: number, token: number) => void;
}

export interface OwnResponse {
  readonly tokens: Uint32Array;
  readonly finish: "stop" | "length";
}

/** Tokens drawn per run at most: a row that ends goes on writing for nobody until then. */
const RUN_LENGTH = 8;

interface Writing {
  readonly index: number;
  readonly cache: number;
  /** Its tokens at most. */
  readonly limit: number;
  readonly tokens: number[];
}

/** The student writes alone, many rows at once with their caches; a finished row makes room for the next.
 * @throws TandemError CANCELLED when aborted, OUT_OF_RANGE for a prompt that fills the context, INVALID_ARGUMENT for an empty one. */
export async function generateRows(options: GenerateRowsOptions): Promise<OwnResponse[]> {
  const { engine, prompts, concurrency, abort } = options;
  const done: (OwnResponse | undefined)[] = prompts.map(() => undefined);
  const live = new Set<Writing>();
  let next = 0;
  try {
    while (live.size > 0 || next < prompts.length) {
      if (abort?.aborted === true)
        throw new TandemError("CANCELLED", "the rollout was interrupted");
      while (live.size < concurrency && next < prompts.length) {
        const limit = responseRoom(next, options);
        live.add({ index: next++, cache: engine.newCache(), limit, tokens: [] });
      }
      const rows = [...live];
      const result = await engine.step(rows.map((row) => toStepRow(row, options)));
      rows.forEach((row, i) => {
        const response = takeTokens(row, result.rows[i] as StepRowResult, options);
        if (response === undefined) return;
        done[row.index] = response;
        live.delete(row);
        engine.release(row.cache);
      });
      await turn();
    }
  } finally {
    for (const { cache } of live) engine.release(cache);
  }
  return done as OwnResponse[];
}

function responseRoom(index: number, options: GenerateRowsOptions): number {
  const { length } = (options.prompts[index] as GenerateRowsOptions["prompts"][number]).prompt;
  const { maxLength } = options.engine.runner;
  if (length === 0) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `prompt ${index + 1} is empty and the tokenizer puts nothing in front of it; give at least one token`,
      { field: "prompt" },
    );
  }
  if (length >= maxLength) {
    throw new TandemError(
      "OUT_OF_RANGE",
      `prompt ${index + 1} has ${length} tokens, the model holds ${maxLength}: no room for a response; shorten the prompt`,
      { field: "prompt", limit: maxLength - 1 },
    );
  }
  return Math.min(options.maxResponse, maxLength - length);
}

function toStepRow(
  { index, cache, limit, tokens }: Writing,
  options: GenerateRowsOptions,
): StepRow {
  const { prompt, rngKey } = options.prompts[index] as GenerateRowsOptions["prompts"][number];
  const fed = tokens.length === 0 ? prompt : Uint32Array.of(tokens.at(-1) as number);
  return {
    cache,
    past: tokens.length === 0 ? 0 : prompt.length + tokens.length - 1,
    tokens: fed,
    maxLength: prompt.length + limit,
    head: {
      first: fed.length - 1,
      targets: new Uint32Array(0),
      spec: NO_SIGNAL,
      random: {
        runSeed: options.runSeed,
        rngKey,
        firstPosition: tokens.length,
        stream: "draft",
      },
      sample: options.sampling,
      ahead: Math.min(RUN_LENGTH, limit - tokens.length) - 1,
    },
  };
}

function takeTokens(
  row: Writing,
  { sampled, ahead = new Uint32Array(0) }: StepRowResult,
  { stopIds, onToken }: GenerateRowsOptions,
): OwnResponse | undefined {
  invariant(sampled !== undefined, "a generating step draws a token");
  for (const token of [sampled, ...ahead]) {
    row.tokens.push(token);
    onToken?.(row.index, token);
    const stopped = stopIds.has(token);
    if (stopped || row.tokens.length === row.limit)
      return { tokens: Uint32Array.from(row.tokens), finish: stopped ? "stop" : "length" };
  }
  return undefined;
}
