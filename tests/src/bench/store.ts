/** What the store of finished signals saves: the same items scored over gRPC for the first time, again from memory, and again by a new process from disk.
 * Options: --model DIR, --rows N (16), --length N (256), --top-k K (64), --encoding plain|compact (compact), --runs N (5), --threads N (all). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { startLiveServer, type LiveServer } from "../helpers/live-server.js";
import { scoreOverWire } from "../helpers/score-over-wire.js";
import { u32 } from "../helpers/teacher-stream.js";
import { benchOptions } from "./bench-options.js";
import { randomTokens } from "./random-tokens.js";
import { spread } from "./spread.js";

const DEFAULTS = { rows: 16, length: 256, topK: 64, encoding: "compact", runs: 5 };

type Options = ReturnType<typeof benchOptions<typeof DEFAULTS>>;

export async function run(args: string[]): Promise<object> {
  const options = benchOptions(args, DEFAULTS);
  const dir = mkdtempSync(join(tmpdir(), "tandem-bench-store-"));
  try {
    return await measure(options, dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function measure(options: Options, dir: string): Promise<object> {
  const computedMs: number[] = [];
  const memoryMs: number[] = [];
  const diskMs: number[] = [];
  const lag = await withServer(options, { dir, memoryBytes: 1 << 30 }, async (server) => {
    // Round 0 warms up.
    for (let round = 0; round <= options.runs; round++) {
      const items = itemsOf(options, round);
      computedMs[round] = await timed(server, items, false);
      memoryMs[round] = await timed(server, items, true);
    }
    return eventLoopLag(server);
  });
  // Only the disk has anything in a new process without memory.
  await withServer(options, { dir, memoryBytes: 0 }, async (server) => {
    for (let round = 0; round <= options.runs; round++)
      diskMs[round] = await timed(server, itemsOf(options, round), true);
  });
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

async function withServer<T>(
  { model, threads }: Options,
  { dir, memoryBytes }: { readonly dir: string; readonly memoryBytes: number },
  work: (server: LiveServer) => Promise<T>,
): Promise<T> {
  const store = ["--store-path", dir, "--store-memory-bytes", String(memoryBytes)];
  const server = await startLiveServer({ model, args: ["--threads", String(threads), ...store] });
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
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
    signal: {
      topK,
      lse: true,
      token: true,
      encoding: encoding === "plain" ? "ENCODING_PLAIN" : "ENCODING_COMPACT",
    },
  }));
}
