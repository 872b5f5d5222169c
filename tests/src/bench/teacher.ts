/** Positions per second of a served teacher, over gRPC, against a bare session of the same model and against other programs, in the same run, taking
 * turns, on the same text. Options: --model DIR, --rows N (8), --length N (256), --top-k K (64), --encoding plain|compact (plain), --runs N (7),
 * --threads N (all), --quantization none|int8|int4 (none), --max-num-batched-tokens N (the server's default), --bare-rows N (rows per bare run of
 * the body; default what the server's steps hold), --peers NAME,NAME (all whose Python is given; see teacher-peers.ts). */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { DescribeResponse__Output } from "@tandem/proto/gen/tandem/v1/DescribeResponse.js";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { ScoreRequest } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Quantization } from "@tandem/shared/quantization/quantization.js";
import { readTokenizerFiles } from "@tandem/shared/tokenizer/tokenizer-files.js";
import { Tokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { startLiveServer } from "../helpers/live-server.js";
import { TeacherStream, u32 } from "../helpers/teacher-stream.js";
import { cpuTicks } from "./cpu-ticks.js";
import type { BareSetup, BareTimes } from "./teacher-child.js";
import { spread } from "./spread.js";
import { TeacherPeers } from "./teacher-peers.js";

/** Positions per run of the head inside the server (`head-runner.ts`). */
const HEAD_ROWS = 256;

interface Options {
  readonly model: string;
  readonly rows: number;
  readonly length: number;
  readonly topK: number;
  readonly encoding: "ENCODING_PLAIN" | "ENCODING_COMPACT";
  readonly runs: number;
  readonly threads: number;
  readonly maxBatchTokens: number;
  readonly bareRows: number;
  readonly quantization: Quantization | "none";
  readonly peers: string | undefined;
}

export async function run(args: string[]): Promise<object> {
  const options = parseOptions(args);
  const cacheDir = mkdtempSync(join(tmpdir(), "tandem-bench-"));
  const server = await startLiveServer({
    model: options.model,
    args: [
      "--threads",
      String(options.threads),
      "--max-num-batched-tokens",
      String(options.maxBatchTokens),
      "--quantization",
      options.quantization,
      "--cache-dir",
      cacheDir,
    ],
  });
  const bare = fork(fileURLToPath(new URL("./teacher-child.js", import.meta.url)), [], {
    serialization: "advanced",
  });
  const peers = new TeacherPeers(options.peers);
  try {
    const description = await describe(server.client);
    const sequences = await textSequences(options);
    await ask(bare, {
      dir: options.model,
      vocabulary: description.vocabSize,
      threads: options.threads,
      sequences: sequences.map((tokens) => tokens.subarray(0, options.length)),
      rowsPerRun: options.bareRows,
      headRows: HEAD_ROWS,
      ...(options.quantization !== "none" && {
        quantized: { quantization: options.quantization, file: quantizedFile(cacheDir) },
      }),
    } satisfies BareSetup);
    await peers.open({
      dir: options.model,
      sequences: sequences.map((tokens) => [...tokens.subarray(0, options.length)]),
      topK: options.topK,
      threads: options.threads,
      rowsPerRun: options.bareRows,
    });
    const servedPids = [server.process.pid as number, server.enginePid()];
    const bench = { client: server.client, bare, peers, sequences, options, servedPids };
    return { ...(await measure(bench)), divergence: description.divergence ?? undefined };
  } finally {
    bare.disconnect();
    await peers.close();
    await server.stop();
    rmSync(cacheDir, { recursive: true });
  }
}

interface Bench {
  readonly client: TeacherClient;
  readonly bare: ChildProcess;
  readonly peers: TeacherPeers;
  readonly sequences: readonly Uint32Array[];
  readonly options: Options;
  readonly servedPids: readonly number[];
}

async function measure({
  client,
  bare,
  peers,
  sequences,
  options,
  servedPids,
}: Bench): Promise<object> {
  const served: number[] = [];
  const floor: number[] = [];
  const bodyOnly: number[] = [];
  const ratios: number[] = [];
  const cpuRatios: number[] = [];
  let payloadBytes = 0;
  // The first round warms both up.
  for (let round = 0; round <= options.runs; round++) {
    const before = [cpuTicks(servedPids), cpuTicks([bare.pid as number])] as const;
    const { elapsedMs, bytes } = await scoreAll(client, sequences, options);
    const times = (await ask(bare, "measure")) as BareTimes;
    await peers.measure(round > 0);
    if (round === 0) continue;
    const servedTicks = cpuTicks(servedPids) - before[0];
    const bareTicks = cpuTicks([bare.pid as number]) - before[1];
    cpuRatios.push(bareTicks / servedTicks);
    payloadBytes = bytes;
    served.push(elapsedMs);
    floor.push(times.bodyMs + times.headMs);
    bodyOnly.push(times.bodyMs);
    ratios.push((times.bodyMs + times.headMs) / elapsedMs);
  }
  const positions = options.rows * options.length;
  const rate = (times: readonly number[]) => spread(times.map((ms) => (1000 * positions) / ms));
  return {
    ...options,
    positions,
    bytesPerPosition: Math.round(payloadBytes / positions),
    positionsPerSecond: rate(served),
    barePositionsPerSecond: rate(floor),
    bareBodyPositionsPerSecond: rate(bodyOnly),
    ratioToBare: spread(ratios),
    ratioToBareBody: spread(served.map((ms, i) => (bodyOnly[i] as number) / ms)),
    // Processor time of both sides, for machines that others use at the same time (Linux only).
    ...(cpuRatios.every(Number.isFinite) && { cpuTimeRatioToBare: spread(cpuRatios) }),
    peers: peers.summary(positions, served),
    wanted: "ratioToBare.median >= 0.9, ratioToBestPeer >= 1.3 (none), >= 1.5 (int8)",
  };
}

/** Scores every sequence over one stream; the clock runs from the request to the last answer. */
async function scoreAll(
  client: TeacherClient,
  sequences: readonly Uint32Array[],
  { topK, encoding }: Options,
): Promise<{ readonly elapsedMs: number; readonly bytes: number }> {
  const stream = new TeacherStream<ScoreRequest, ScoreResponse__Output>(client.score());
  const began = performance.now();
  const items = sequences.map((tokens, id): ScoreItem => ({
    id,
    tokens: u32(tokens),
    from: 1,
    signal: { topK, token: true, encoding },
  }));
  stream.send({ items });
  let bytes = 0;
  for (let open = items.length; open > 0;) {
    const message = await stream.next();
    if (message === undefined || message.errors.length > 0)
      throw new TandemError("INTERNAL", JSON.stringify(message?.errors));
    for (const { frames, last } of message.results) {
      for (const { plain, compact } of frames) bytes += compact?.frame.length ?? byteLength(plain);
      if (last) open--;
    }
  }
  const elapsedMs = performance.now() - began;
  await stream.finish();
  return { elapsedMs, bytes };
}

function byteLength(plain: object | null | undefined): number {
  return Object.values(plain ?? {}).reduce(
    (sum: number, value: unknown) => sum + (value instanceof Uint8Array ? value.length : 0),
    0,
  );
}

function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      model: { type: "string", default: "" },
      rows: { type: "string", default: "8" },
      length: { type: "string", default: "256" },
      "top-k": { type: "string", default: "64" },
      encoding: { type: "string", default: "plain" },
      runs: { type: "string", default: "7" },
      threads: { type: "string", default: String(availableParallelism()) },
      "max-num-batched-tokens": { type: "string", default: "512" },
      "bare-rows": { type: "string" },
      quantization: { type: "string", default: "none" },
      peers: { type: "string" },
    },
  });
  if (values.model === "") throw new TandemError("INVALID_ARGUMENT", "name a model: --model DIR");
  const maxBatchTokens = Number(values["max-num-batched-tokens"]);
  const length = Number(values.length);
  return {
    model: String(values.model),
    rows: Number(values.rows),
    length,
    topK: Number(values["top-k"]),
    encoding: values.encoding === "compact" ? "ENCODING_COMPACT" : "ENCODING_PLAIN",
    runs: Number(values.runs),
    threads: Number(values.threads),
    maxBatchTokens,
    quantization: values.quantization as Options["quantization"],
    peers: values.peers as string | undefined,
    bareRows: Number(values["bare-rows"] ?? Math.max(1, Math.floor(maxBatchTokens / length))),
  };
}

/** length + 1 tokens each of this repository's own documents: the law behind the last one is not asked for, so `length` positions are computed. */
async function textSequences({ model, rows, length }: Options): Promise<readonly Uint32Array[]> {
  const docs = fileURLToPath(new URL("../../../docs", import.meta.url));
  const names = readdirSync(docs)
    .filter((name) => name.endsWith(".md"))
    .sort();
  const text = names.map((name) => readFileSync(join(docs, name), "utf8")).join("\n");
  const tokens = new Tokenizer(await readTokenizerFiles(model)).encode(text);
  const needed = rows * (length + 1);
  if (tokens.length < needed)
    throw new TandemError("OUT_OF_RANGE", `docs hold ${tokens.length} tokens of ${needed}`);
  return Array.from({ length: rows }, (_, row) =>
    tokens.slice(row * (length + 1), (row + 1) * (length + 1)),
  );
}

/** The one file of quantised weights in a fresh cache. */
function quantizedFile(cacheDir: string): string {
  const weights = join(cacheDir, "weights");
  const file = readdirSync(weights, { recursive: true }).find((name) =>
    String(name).endsWith(".safetensors"),
  );
  return join(weights, String(file));
}

async function ask(child: ChildProcess, message: BareSetup | "measure"): Promise<unknown> {
  child.send(message);
  const died = once(child, "exit").then(() => {
    throw new TandemError("INTERNAL", "the bare session's process ended");
  });
  const [reply] = (await Promise.race([once(child, "message"), died])) as unknown[];
  return reply;
}

function describe(client: TeacherClient): Promise<DescribeResponse__Output> {
  return new Promise((resolve, reject) =>
    client.describe({}, (error, value) =>
      error === null && value !== undefined ? resolve(value) : reject(error),
    ),
  );
}
