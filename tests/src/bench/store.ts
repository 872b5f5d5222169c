/** What the store of finished signals saves: the same items scored over gRPC for the first time, again from memory, and again by a new process from disk.
 * Options: --model DIR, --rows N (16), --length N (256), --top-k K (64), --encoding plain|compact (compact), --runs N (5), --threads N (all). */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { startLiveServer, type LiveServer } from "../helpers/live-server.js";
import { scoreOverWire } from "../helpers/score-over-wire.js";
import { u32 } from "../helpers/teacher-stream.js";
import { randomTokens } from "./random-tokens.js";
import { spread } from "./spread.js";

interface Options {
  readonly model: string;
  readonly rows: number;
  readonly length: number;
  readonly topK: number;
  readonly encoding: "ENCODING_PLAIN" | "ENCODING_COMPACT";
  readonly runs: number;
  readonly threads: number;
}

export async function run(args: string[]): Promise<object> {
  const options = parseOptions(args);
  const dir = mkdtempSync(join(tmpdir(), "tandem-bench-store-"));
  try {
    return await measure(options, dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function measure(options: Options, dir: string): Promise<object> {
  const start = (memoryBytes: number): Promise<LiveServer> =>
    startLiveServer({
      model: options.model,
      args: [
        "--threads",
        String(options.threads),
        "--store-path",
        dir,
        "--store-memory-bytes",
        String(memoryBytes),
      ],
    });
  const computedMs: number[] = [];
  const memoryMs: number[] = [];
  const diskMs: number[] = [];
  const first = await start(1 << 30);
  // Round 0 warms up.
  for (let round = 0; round <= options.runs; round++) {
    const items = itemsOf(options, round);
    computedMs[round] = await timed(first, items, false);
    memoryMs[round] = await timed(first, items, true);
  }
  const lag = await eventLoopLag(first);
  await first.stop();
  // Only the disk has anything in a new process without memory.
  const second = await start(0);
  for (let round = 0; round <= options.runs; round++)
    diskMs[round] = await timed(second, itemsOf(options, round), true);
  await second.stop();
  const faster = (times: readonly number[]) =>
    spread(times.map((ms, i) => (computedMs[i] as number) / ms).slice(1));
  return {
    ...options,
    positions: options.rows * options.length,
    computedMs: spread(computedMs.slice(1)),
    memoryMs: spread(memoryMs.slice(1)),
    diskMs: spread(diskMs.slice(1)),
    speedupFromMemory: faster(memoryMs),
    speedupFromDisk: faster(diskMs),
    // Of the gRPC process while it wrote to disk, milliseconds.
    eventLoopLagMs: lag,
    wanted: "speedupFromMemory.median >= 50, speedupFromDisk.median >= 50",
  };
}

async function timed(
  { client }: LiveServer,
  items: readonly ScoreItem[],
  stored: boolean,
): Promise<number> {
  const began = performance.now();
  const scores = await scoreOverWire(client, items);
  const elapsedMs = performance.now() - began;
  for (const { usage } of scores.values()) {
    if (usage.savedPositions > 0 !== stored)
      throw new TandemError("INTERNAL", "an item did not come from where it was to come from");
  }
  return elapsedMs;
}

/** Read and begun anew at each scrape. */
async function eventLoopLag(server: LiveServer): Promise<{ mean: number; p99: number }> {
  const text = await (await fetch(`http://${server.httpAddress}/metrics`)).text();
  const read = (name: string): number =>
    1000 *
    Number(
      text.match(new RegExp(`^teacher_nodejs_eventloop_lag_${name}_seconds (\\S+)`, "m"))?.[1],
    );
  return { mean: read("mean"), p99: read("p99") };
}

function itemsOf({ rows, length, topK, encoding }: Options, round: number): readonly ScoreItem[] {
  return Array.from({ length: rows }, (_, id) => ({
    id,
    tokens: u32(randomTokens(length + 1, 1 + id + rows * round)),
    from: 1,
    signal: { topK, lse: true, token: true, encoding },
  }));
}

function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      model: { type: "string", default: "" },
      rows: { type: "string", default: "16" },
      length: { type: "string", default: "256" },
      "top-k": { type: "string", default: "64" },
      encoding: { type: "string", default: "compact" },
      runs: { type: "string", default: "5" },
      threads: { type: "string", default: String(availableParallelism()) },
    },
  });
  if (values.model === "") throw new TandemError("INVALID_ARGUMENT", "name a model: --model DIR");
  return {
    model: String(values.model),
    rows: Number(values.rows),
    length: Number(values.length),
    topK: Number(values["top-k"]),
    encoding: values.encoding === "plain" ? "ENCODING_PLAIN" : "ENCODING_COMPACT",
    runs: Number(values.runs),
    threads: Number(values.threads),
  };
}
