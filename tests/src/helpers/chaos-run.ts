import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { RolloutTeacher } from "@tandem/student-trainer/rollout/teacher-pool.js";
import { trainRun } from "@tandem/student-trainer/cli/train-run.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { readRunLog } from "@tandem/student-trainer/training/run-log.js";
import { deterministicPart } from "./deterministic-part.js";

import type { RolloutPair } from "./rollout-pair.js";
import { watchTeacher } from "./rollout-watch.js";

export interface ChaosRun {
  /** Every step's loss, gradient norm, acceptance, … : what is equal in equal runs. */
  readonly records: readonly Readonly<Record<string, unknown>>[];
  /** Every sequence that was written, token by token, with both models' laws. */
  readonly texts: readonly string[];
  /** Drafts that were sent. */
  readonly questions: number;
}

export interface ChaosRunOptions {
  readonly pair: RolloutPair;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly rounds: number;
  /** Called when the nth draft has been sent and is unanswered. */
  readonly onQuestion?: (n: number) => void;
}

/** A training run with speculative KD, as `student-trainer train` does it. */
export async function runSkd(options: ChaosRunOptions): Promise<ChaosRun> {
  const { pair, name, addresses, rounds, onQuestion } = options;
  const runDir = join(pair.dir, name);
  const config = loadRunConfig({
    assignments: [
      `student.model=${pair.studentDir}`,
      `teacher.address=[${addresses.map((address) => `"${address}"`).join(", ")}]`,
      "teacher.retryTimeoutMs=120000",
      "teacher.keepaliveMs=400",
      `data.train=${pair.dataFile}`,
      "rollout={kind: skd, rows: 8, concurrency: 6, maxResponse: 16, blockLength: 3, draftAhead: 1}",
      "rollout.acceptance={rank: 3}",
      "losses=[{name: forward-kl, topK: 6}]",
      "optimizer.learningRate=0.01",
      `training={rounds: ${rounds}, minibatchSize: 4, threads: 1, seed: 3}`,
      "output={dir: x, samples: 8}",
      `output.dir=${runDir}`,
    ],
  });
  let questions = 0;
  const wrapTeacher = (teacher: RolloutTeacher): RolloutTeacher => ({
    score: (question) => teacher.score(question),
    generate: (order) => teacher.generate(order),
    openSequence: (request) =>
      watchTeacher(teacher, () => {
        questions++;
        onQuestion?.(questions);
      }).teacher.openSequence(request),
  });
  await trainRun({
    config,
    resume: false,
    abort: new AbortController().signal,
    note: () => undefined,
    onStep: () => undefined,
    wrapTeacher,
  });
  const records = await readRunLog(join(runDir, "metrics.jsonl"));
  const texts = (await readFile(join(runDir, "rollouts.jsonl"), "utf8")).split("\n");
  return { records: records.map(deterministicPart), texts, questions };
}
