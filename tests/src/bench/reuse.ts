/** What sequences that begin alike save: sequences of one prompt and tails of their own, scored over gRPC by a server that reuses prefixes and by one that
 * does not, in turns. Every round has other tails.
 * Options: --model DIR, --rows N (16), --prompt N (512), --tail N (64), --top-k K (64), --runs N (5), --threads N (all). */
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import { startLiveServer, type LiveServer } from "../helpers/live-server.js";
import { scoreOverWire } from "../helpers/score-over-wire.js";
import { u32 } from "../helpers/teacher-stream.js";
import { benchOptions } from "./bench-options.js";
import { randomTokens } from "./random-tokens.js";
import { spread } from "./spread.js";

const DEFAULTS = { rows: 16, prompt: 512, tail: 64, topK: 64, runs: 5 };

type Options = ReturnType<typeof benchOptions<typeof DEFAULTS>>;

export async function run(args: string[]): Promise<object> {
  const options = benchOptions(args, DEFAULTS);
  const start = (...flags: readonly string[]): Promise<LiveServer> =>
    startLiveServer({
      model: options.model,
      args: ["--threads", String(options.threads), ...flags],
    });
  const reusing = await start();
  const fresh = await start("--no-enable-prefix-caching");
  try {
    return await measure(options, { reusing, fresh });
  } finally {
    await Promise.all([reusing.stop(), fresh.stop()]);
  }
}

async function measure(
  options: Options,
  { reusing, fresh }: { readonly reusing: LiveServer; readonly fresh: LiveServer },
): Promise<object> {
  const times = { reusing: [] as number[], fresh: [] as number[] };
  const ratios: number[] = [];
  let first = NaN;
  let reusedPositions = 0;
  // The first round warms both up, and the prompt.
  for (let round = 0; round <= options.runs; round++) {
    const items = itemsOf(options, round);
    const warm = await timed(reusing, items);
    const cold = await timed(fresh, items);
    if (round === 0) {
      first = cold.elapsedMs / warm.elapsedMs;
      continue;
    }
    times.reusing.push(warm.elapsedMs);
    times.fresh.push(cold.elapsedMs);
    ratios.push(cold.elapsedMs / warm.elapsedMs);
    reusedPositions = warm.reusedPositions;
  }
  return {
    ...options,
    positions: options.rows * (options.prompt + options.tail),
    reusedPositions,
    reusingMs: spread(times.reusing),
    freshMs: spread(times.fresh),
    // The prompt itself was not known yet: what sharing among sequences that come together saves.
    speedupOfFirstRound: first,
    speedup: spread(ratios),
    wanted: "speedup.median >= 5",
  };
}

async function timed(
  server: LiveServer,
  items: readonly ScoreItem[],
): Promise<{ readonly elapsedMs: number; readonly reusedPositions: number }> {
  const began = performance.now();
  const scores = await scoreOverWire(server.client, items);
  const elapsedMs = performance.now() - began;
  let reusedPositions = 0;
  for (const { usage } of scores.values()) reusedPositions += usage.reusedPositions;
  return { elapsedMs, reusedPositions };
}

/** Laws of the tails only: the prompt is nobody's answer. */
function itemsOf({ rows, prompt, tail, topK }: Options, round: number): readonly ScoreItem[] {
  const common = randomTokens(prompt, 0);
  return Array.from({ length: rows }, (_, id) => ({
    id,
    tokens: u32([...common, ...randomTokens(tail, 1 + id + rows * round)]),
    from: prompt,
    signal: { topK, token: true },
  }));
}
