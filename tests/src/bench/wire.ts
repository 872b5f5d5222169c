/** Bytes per position, and processor time of encoding and decoding, of a teacher's signal on real text, COMPACT against PLAIN; whole lists, and lists that end at a mass.
 * Options: --model DIR (a Hugging Face directory), --texts FILE (JSON lines with `question` and `answer`, as GSM8K), --positions N (2048),
 * --top-k K (64), --top-p-mass P (0.99), --max-logit-error E (0.01), --runs N (9), --threads N (all). */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { SignalFrame, SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { loadTeacherPackageDefinition } from "@tandem/proto/load-teacher-proto.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { loadTokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { concatSignals } from "@tandem/shared/wire/concat-signals.js";
import { fromSignalFrame, toSignalFrames } from "@tandem/shared/wire/signal-frame.js";
import { sliceSignal } from "@tandem/shared/wire/slice-signal.js";
import { NO_SIGNAL, type TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

/** Rows per frame: a block of drafts, a page of a scored text, a long text. */
const FRAME_ROWS = [8, 64, 512];

interface Options {
  readonly positions: number;
  readonly topK: number;
  readonly topPMass: number;
  readonly maxLogitError: number;
  readonly runs: number;
}

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      model: { type: "string", default: "" },
      texts: { type: "string", default: "" },
      positions: { type: "string", default: "2048" },
      "top-k": { type: "string", default: "64" },
      "top-p-mass": { type: "string", default: "0.99" },
      "max-logit-error": { type: "string", default: "0.01" },
      runs: { type: "string", default: "9" },
      threads: { type: "string", default: String(availableParallelism()) },
    },
  });
  const [dir, texts] = [String(values["model"]), String(values["texts"])];
  if (dir === "" || texts === "") {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "name a model and a text: --model DIR --texts FILE.jsonl",
    );
  }
  const options: Options = {
    positions: Number(values["positions"]),
    topK: Number(values["top-k"]),
    topPMass: Number(values["top-p-mass"]),
    maxLogitError: Number(values["max-logit-error"]),
    runs: Number(values["runs"]),
  };
  const scored = await scoreTexts(dir, texts, options, Number(values["threads"]));
  const { vocabSize, whole, ended } = scored;
  const parts = "top lists, lse, log tail, token logit, rank";
  const results: Record<string, object> = {};
  for (const encoding of ["COMPACT", "PLAIN"] as const) {
    for (const rows of FRAME_ROWS) {
      const own = { ...options, encoding, vocabSize };
      results[`${encoding}, ${rows} rows a frame`] = measure(cut(whole, rows), own);
      results[`${encoding}, ${rows} rows a frame, mass ${options.topPMass}`] = measure(
        cut(ended, rows),
        own,
      );
    }
  }
  const { count } = whole;
  const idsPerPosition = (ended.topIds?.length ?? 0) / count;
  return { model: dir, vocabSize, ...options, count, parts, idsPerPosition, encodings: results };
}

/** What the model thinks of the first `positions` positions of the texts: with whole lists, and with those that end at the mass. */
async function scoreTexts(
  dir: string,
  texts: string,
  { positions, topK, topPMass }: Options,
  threads: number,
): Promise<{
  readonly whole: TeacherSignal;
  readonly ended: TeacherSignal;
  readonly vocabSize: number;
}> {
  const tokenizer = await loadTokenizer(dir);
  const runner = await ModelRunner.load({ dir, threads, vocabulary: tokenizer.vocabularySize });
  const signals: TeacherSignal[][] = [[], []];
  let count = 0;
  try {
    for (const line of readFileSync(texts, "utf8").split("\n")) {
      if (line === "" || count >= positions) break;
      const { question, answer } = JSON.parse(line) as Record<string, string>;
      const tokens = tokenizer.encode(`Question: ${question}\nAnswer: ${answer}`);
      const spec = { ...NO_SIGNAL, topK, token: true };
      const asked = [1, topPMass].map((mass, cache) => {
        const head = { first: 0, targets: tokens.subarray(1), spec: { ...spec, topPMass: mass } };
        return { cache, past: 0, tokens, maxLength: tokens.length, head };
      });
      const { rows } = await runner.run({ release: [0, 1], rows: asked });
      // texts follow each other as if they were one
      rows.forEach(({ signal }, i) => {
        if (signal === undefined) throw new TandemError("INTERNAL", "the model gave no signal");
        signals[i]?.push({ ...signal, from: 1 + count });
      });
      count += tokens.length - 1;
    }
  } finally {
    await runner.close();
  }
  const [whole, ended] = signals.map((each) =>
    sliceSignal(concatSignals(each), 0, Math.min(count, positions)),
  ) as [TeacherSignal, TeacherSignal];
  return { whole, ended, vocabSize: tokenizer.vocabularySize };
}

function cut(signal: TeacherSignal, rows: number): TeacherSignal[] {
  const frames: TeacherSignal[] = [];
  for (let start = 0; start < signal.count; start += rows) {
    frames.push(sliceSignal(signal, start, Math.min(signal.count, start + rows)));
  }
  return frames;
}

interface MeasureOptions extends Options {
  readonly encoding: "PLAIN" | "COMPACT";
  readonly vocabSize: number;
}

function measure(signals: readonly TeacherSignal[], options: MeasureOptions): object {
  const { encoding, vocabSize, maxLogitError, runs } = options;
  const frameOptions = {
    encoding,
    vocabSize,
    maxLogitError,
    denseType: "none" as const,
    maxFrameBytes: 1 << 20,
  };
  const encode = (): SignalFrame[] => signals.flatMap((each) => toSignalFrames(each, frameOptions));
  const { frames, bytes } = throughProto(encode());
  const decode = (): TeacherSignal[] => frames.map((frame) => fromSignalFrame(frame, vocabSize));
  const decoded = decode();
  const count = signals.reduce((sum, each) => sum + each.count, 0);
  return {
    bytesPerPosition: bytes / count,
    maxLogitError: largestError(decoded, signals),
    exactOtherwise: decoded.every((each, i) => sameButLogits(each, signals[i] as TeacherSignal)),
    encodeMicrosPerPosition: time(encode, runs, count),
    decodeMicrosPerPosition: time(decode, runs, count),
  };
}

/** Frames as they arrive, and their size in messages, envelope included. */
function throughProto(frames: readonly SignalFrame[]): {
  readonly frames: readonly SignalFrame__Output[];
  readonly bytes: number;
} {
  const { Score } = loadTeacherPackageDefinition()["tandem.v1.Teacher"] as unknown as {
    readonly Score: {
      responseSerialize(message: object): Buffer;
      responseDeserialize(bytes: Buffer): ScoreResponse__Output;
    };
  };
  const messages = frames.map((frame) =>
    Score.responseSerialize({ results: [{ id: 1, frames: [frame] }] }),
  );
  return {
    frames: messages.flatMap((bytes) => Score.responseDeserialize(bytes).results[0]?.frames ?? []),
    bytes: messages.reduce((sum, { length }) => sum + length, 0),
  };
}

function largestError(
  decoded: readonly TeacherSignal[],
  signals: readonly TeacherSignal[],
): number {
  let largest = 0;
  decoded.forEach(({ topLogits }, frame) => {
    const expected = signals[frame]?.topLogits;
    topLogits?.forEach((logit, i) => {
      largest = Math.max(largest, Math.abs(logit - (expected?.[i] ?? NaN)));
    });
  });
  return largest;
}

function sameButLogits(decoded: TeacherSignal, signal: TeacherSignal): boolean {
  return (["topIds", "lse", "logTail", "tokenLogit", "rank"] as const).every((key) => {
    const expected = signal[key];
    return decoded[key]?.every((value, i) => Object.is(value, expected?.[i])) === true;
  });
}

/** Processor time, which others on the machine hardly change: median and spread over the runs, after as many to warm up. */
function time(work: () => unknown, runs: number, count: number): object {
  for (let i = 0; i < runs; i++) work();
  const micros = Array.from({ length: runs }, () => {
    const began = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(began);
    return (user + system) / count;
  }).sort((a, b) => a - b);
  const at = (share: number): number => micros[Math.round(share * (runs - 1))] as number;
  return { median: at(0.5), least: at(0), most: at(1) };
}
