/** Bytes per position that each loss's signal takes on the wire, on real text, frames and envelopes included: what the teacher sends for 64 positions a frame, and what the
 * student sends up for it (its own ids, temperatures). The model is teacher and student at once. Losses with the same signal are one row; those that need all V logits or hidden states are left out.
 * Options: --model DIR (a Hugging Face directory), --texts FILE (JSON lines with `question` and `answer`, as GSM8K), --positions N (512), --max-logit-error E (0.01), --threads N (all),
 * --losses NAMES (all, comma-separated). */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { SignalFrame } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import { loadTeacherPackageDefinition } from "@tandem/proto/load-teacher-proto.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { loadTokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { concatSignals } from "@tandem/shared/wire/concat-signals.js";
import { toSignalFrames } from "@tandem/shared/wire/signal-frame.js";
import { sliceSignal } from "@tandem/shared/wire/slice-signal.js";
import {
  NO_SIGNAL,
  type SignalSpec,
  type TeacherSignal,
} from "@tandem/shared/wire/teacher-signal.js";
import { listLosses, lossRequirement } from "@tandem/student-trainer";
import {
  tauCount,
  type SignalRequirement,
} from "@tandem/student-trainer/losses/signal-requirement.js";

const FRAME_ROWS = 64;
const POSITION_TAU = 1.5;

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      model: { type: "string", default: "" },
      texts: { type: "string", default: "" },
      positions: { type: "string", default: "512" },
      "max-logit-error": { type: "string", default: "0.01" },
      threads: { type: "string", default: String(availableParallelism()) },
      losses: { type: "string", default: "" },
    },
  });
  const [dir, file] = [String(values["model"]), String(values["texts"])];
  if (dir === "" || file === "") {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "name a model and a text: --model DIR --texts FILE.jsonl",
    );
  }
  const positions = Number(values["positions"]);
  const maxLogitError = Number(values["max-logit-error"]);
  const tokenizer = await loadTokenizer(dir);
  const vocabSize = tokenizer.vocabularySize;
  const threads = Number(values["threads"]);
  const runner = await ModelRunner.load({ dir, threads, vocabulary: vocabSize });
  const texts = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const { question, answer } = JSON.parse(line) as Record<string, string>;
      return tokenizer.encode(`Question: ${question}\nAnswer: ${answer}`);
    });
  const wanted = String(values["losses"]).split(",").filter(Boolean);
  const results: object[] = [];
  try {
    for (const [key, losses] of signalsOfLosses()) {
      if (wanted.length > 0 && !losses.some(({ name }) => wanted.includes(name))) continue;
      const requirement = lossRequirement(losses[0]!.name, losses[0]!.options);
      const signal = await score(runner, texts, { requirement, positions });
      const bytes = (encoding: "PLAIN" | "COMPACT") =>
        sizeOf(signal, { encoding, vocabSize, maxLogitError }) / signal.count;
      results.push({
        losses: losses.map(({ name, options }) =>
          Object.keys(options).length === 0 ? name : `${name} ${JSON.stringify(options)}`,
        ),
        signal: key,
        compact: bytes("COMPACT"),
        plain: bytes("PLAIN"),
        up: 4 * requirement.studentTopK + 4 * (requirement.positionTaus?.length ?? 0),
      });
    }
  } finally {
    await runner.close();
  }
  return { model: dir, vocabSize, positions, maxLogitError, results };
}

interface Choice {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** By their signal in words. */
function signalsOfLosses(): ReadonlyMap<string, readonly Choice[]> {
  const choices: Choice[] = [
    ...listLosses().map(({ name }) => ({ name, options: {} })),
    { name: "dtkd", options: { dense: false } },
    { name: "continuation-kd", options: { support: "top-k-approximation" } },
    { name: "ranking", options: { k: 15 } },
    { name: "rs-kd", options: { drawTemperature: 2 } },
  ];
  const found = new Map<string, Choice[]>();
  for (const choice of choices) {
    if (["hidden-states", "hidden-relations", "kd-nas", "okd"].includes(choice.name)) continue;
    const requirement = lossRequirement(choice.name, choice.options);
    const { spec, studentTopK, positionTaus = [] } = requirement;
    if (spec.dense !== "none" || spec.hiddenLayers.length > 0) continue;
    if (JSON.stringify(spec) === JSON.stringify(NO_SIGNAL) && studentTopK === 0) continue;
    const { topPMass, ...others } = spec;
    const parts = {
      ...others,
      ...(topPMass < 1 && { topPMass }),
      studentTopK,
      positionTaus: positionTaus.length,
    };
    const key = Object.entries(parts)
      .filter(([, value]) => value !== 0 && value !== false && value !== "none" && !isEmpty(value))
      .map(([name, value]) => `${name} ${JSON.stringify(value)}`)
      .join(", ");
    found.set(key, [...(found.get(key) ?? []), choice]);
  }
  return found;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

async function score(
  runner: ModelRunner,
  texts: readonly Uint32Array[],
  {
    requirement,
    positions,
  }: { readonly requirement: SignalRequirement; readonly positions: number },
): Promise<TeacherSignal> {
  const { spec, studentTopK } = requirement;
  const signals: TeacherSignal[] = [];
  let count = 0;
  for (const tokens of texts) {
    if (count >= positions) break;
    const n = tokens.length - 1;
    const ask = async (own: SignalSpec, more: object): Promise<TeacherSignal> => {
      const head = { first: 0, targets: tokens.subarray(1), spec: own, ...more };
      const row = { cache: 0, past: 0, tokens, maxLength: tokens.length, head };
      const { rows } = await runner.run({ release: [0], rows: [row] });
      const signal = rows[0]?.signal;
      if (signal === undefined) throw new TandemError("INTERNAL", "the model gave no signal");
      return signal;
    };
    const own =
      studentTopK > 0 ? (await ask({ ...NO_SIGNAL, topK: studentTopK }, {})).topIds! : undefined;
    const width = tauCount(requirement);
    const signal = await ask(
      { ...spec, taus: [] },
      {
        ...(own && {
          atIds: own,
          atOffsets: Uint32Array.from({ length: n + 1 }, (_, at) => at * studentTopK),
        }),
        ...(width > 0 && {
          taus: Float32Array.from({ length: n * width }, (_, at) =>
            at % width < spec.taus.length
              ? spec.taus[at % width]!
              : POSITION_TAU + at / (n * width),
          ),
        }),
        random: { runSeed: 1, rngKey: signals.length, firstPosition: 0 },
      },
    );
    signals.push({ ...signal, from: 1 + count });
    count += signal.count;
  }
  return sliceSignal(concatSignals(signals), 0, Math.min(count, positions));
}

interface Encoding {
  readonly encoding: "PLAIN" | "COMPACT";
  readonly vocabSize: number;
  readonly maxLogitError: number;
}

/** In messages, envelope included. */
function sizeOf(signal: TeacherSignal, encoding: Encoding): number {
  const { Score } = loadTeacherPackageDefinition()["tandem.v1.Teacher"] as unknown as {
    readonly Score: { responseSerialize(message: object): Buffer };
  };
  const options = { ...encoding, denseType: "none" as const, maxFrameBytes: 1 << 20 };
  let bytes = 0;
  for (let start = 0; start < signal.count; start += FRAME_ROWS) {
    const own = sliceSignal(signal, start, Math.min(signal.count, start + FRAME_ROWS));
    const frames: readonly SignalFrame[] = toSignalFrames(own, options);
    for (const frame of frames) {
      bytes += Score.responseSerialize({ results: [{ id: 1, frames: [frame] }] }).length;
    }
  }
  return bytes;
}
