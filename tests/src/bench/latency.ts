/** What the service adds to a verification: drafts of several rows judged over gRPC, against the same step of the same model in this process, in turns.
 * Options: --model DIR, --rows N (8), --block N (5), --prompt N (64), --top-k K (64), --runs N (41), --threads N (all). */
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import type { Step } from "@tandem/shared/inference/step.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { startLiveServer } from "../helpers/live-server.js";
import { benchOptions } from "./bench-options.js";
import {
  ACCEPT_ALL,
  drawSequences,
  openServed,
  SAMPLING,
  type Sequence,
  type Verifier,
} from "./served-verifier.js";
import { spread } from "./spread.js";

const DEFAULTS = { rows: 8, block: 5, prompt: 64, topK: 64, runs: 41 };

type Options = ReturnType<typeof benchOptions<typeof DEFAULTS>>;

export async function run(args: string[]): Promise<object> {
  const options = benchOptions(args, DEFAULTS);
  const { vocabSize } = await readModelConfig(options.model);
  const sequences = drawSequences(vocabSize, options);
  const server = await startLiveServer({
    model: options.model,
    args: ["--threads", String(options.threads)],
  });
  const opened: Verifier[] = [];
  try {
    const served = await openServed(server, sequences, options);
    opened.push(served);
    const bare = await openBare(sequences, options);
    opened.push(bare);
    return await measure(served.verify, bare.verify, options);
  } finally {
    for (const { close } of opened) await close();
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
