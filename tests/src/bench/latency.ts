/** What the service adds to a verification: drafts of several rows judged over gRPC, against the same step of the same model in this process, in turns.
 * Options: --model DIR, --rows N (8), --block N (5), --prompt N (64), --top-k K (64), --runs N (41), --threads N (all). */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import type { Step } from "@tandem/shared/inference/step.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { startLiveServer } from "../helpers/live-server.js";
import {
  ACCEPT_ALL,
  drawSequences,
  openServed,
  SAMPLING,
  type Sequence,
  type Verifier,
} from "./served-verifier.js";
import { spread } from "./spread.js";

interface Options {
  readonly model: string;
  readonly rows: number;
  readonly block: number;
  readonly prompt: number;
  readonly topK: number;
  readonly runs: number;
  readonly threads: number;
}

export async function run(args: string[]): Promise<object> {
  const options = parseOptions(args);
  const { vocabSize } = await readModelConfig(options.model);
  const sequences = drawSequences(vocabSize, options);
  const server = await startLiveServer({
    model: options.model,
    args: ["--threads", String(options.threads)],
  });
  const served = await openServed(server, sequences, options);
  const bare = await openBare(sequences, options);
  try {
    return await measure(served.verify, bare.verify, options);
  } finally {
    await served.close();
    await bare.close();
    await server.stop();
  }
}

async function measure(
  served: () => Promise<void>,
  bare: () => Promise<void>,
  options: Options,
): Promise<object> {
  const times = { served: [] as number[], bare: [] as number[], added: [] as number[] };
  // A quarter more to warm up.
  for (let i = -Math.ceil(options.runs / 4); i < options.runs; i++) {
    const servedMs = await timed(served);
    const bareMs = await timed(bare);
    if (i < 0) continue;
    times.served.push(servedMs);
    times.bare.push(bareMs);
    times.added.push(servedMs - bareMs);
  }
  const added = spread(times.added);
  return {
    ...options,
    servedMs: spread(times.served),
    bareMs: spread(times.bare),
    addedMs: added,
    addedShare: added.median / spread(times.bare).median,
    wanted: "addedMs.median <= 3 or addedShare <= 0.15",
  };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function openBare(
  sequences: readonly Sequence[],
  { model, threads, topK, block }: Options,
): Promise<Verifier> {
  const runner = await ModelRunner.load({ dir: model, threads });
  const step = (past: (prompt: Uint32Array) => number): Step => ({
    release: [],
    rows: sequences.map(({ prompt, draft }, cache) => ({
      cache,
      past: past(prompt),
      tokens: Uint32Array.from([...prompt.subarray(past(prompt)), ...draft.subarray(0, -1)]),
      maxLength: prompt.length + 2 * block,
      head: {
        first: prompt.length - 1 - past(prompt),
        targets: draft,
        spec: { ...NO_SIGNAL, topK, lse: true },
        random: { runSeed: 1, rngKey: cache, firstPosition: 0 },
        verify: { rule: ACCEPT_ALL, sampling: SAMPLING },
      },
    })),
  });
  await runner.run(step(() => 0));
  const again = step((prompt) => prompt.length - 1);
  return {
    verify: async () => {
      await runner.run(again);
    },
    close: () => runner.close(),
  };
}

function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      model: { type: "string", default: "" },
      rows: { type: "string", default: "8" },
      block: { type: "string", default: "5" },
      prompt: { type: "string", default: "64" },
      "top-k": { type: "string", default: "64" },
      runs: { type: "string", default: "41" },
      threads: { type: "string", default: String(availableParallelism()) },
    },
  });
  if (values.model === "") throw new TandemError("INVALID_ARGUMENT", "name a model: --model DIR");
  return {
    model: String(values.model),
    rows: Number(values.rows),
    block: Number(values.block),
    prompt: Number(values.prompt),
    topK: Number(values["top-k"]),
    runs: Number(values.runs),
    threads: Number(values.threads),
  };
}
