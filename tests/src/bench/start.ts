/** From the start of `teacher-server` to its ready line: the first start, which writes the cache, and later ones, for each quantization.
 * Options: --model DIR, --quantizations NAMES (none,int8,int4), --runs N (5), --threads N (all). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLiveServer } from "../helpers/live-server.js";
import { benchOptions } from "./bench-options.js";
import { spread, type Spread } from "./spread.js";

const DEFAULTS = { quantizations: "none,int8,int4", runs: 5 };

type Options = ReturnType<typeof benchOptions<typeof DEFAULTS>>;

interface Starts {
  readonly firstMs: number;
  readonly warmMs: Spread;
  /** Of `warmMs`, as the engine's log says: from the message that names the model to its first step. */
  readonly loadMs: Spread;
}

export async function run(args: string[]): Promise<object> {
  const options = benchOptions(args, DEFAULTS);
  const results: Record<string, Starts> = {};
  for (const quantization of options.quantizations.split(",")) {
    results[quantization] = await measure(options, quantization);
  }
  return { ...options, starts: results, wanted: "warmMs.median <= 3000" };
}

async function measure(options: Options, quantization: string): Promise<Starts> {
  const cacheDir = mkdtempSync(join(tmpdir(), "tandem-bench-start-"));
  try {
    const [firstMs] = await start(options, quantization, cacheDir);
    const warmMs: number[] = [];
    const loadMs: number[] = [];
    for (let run = 0; run < options.runs; run++) {
      const [ready, load] = await start(options, quantization, cacheDir);
      warmMs.push(ready);
      loadMs.push(load);
    }
    return { firstMs, warmMs: spread(warmMs), loadMs: spread(loadMs) };
  } finally {
    rmSync(cacheDir, { recursive: true });
  }
}

async function start(
  { model, threads }: Options,
  quantization: string,
  cacheDir: string,
): Promise<readonly [readyMs: number, loadMs: number]> {
  const began = performance.now();
  const server = await startLiveServer({
    model,
    args: ["--threads", String(threads), "--quantization", quantization, "--cache-dir", cacheDir],
  });
  const readyMs = performance.now() - began;
  await server.stop();
  const up = server.logs.find(({ event }) => event === "engine.ready");
  return [readyMs, up?.["loadMs"] as number];
}
