import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { trainRun } from "@tandem/student-trainer/cli/train-run.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { readRunLog } from "@tandem/student-trainer/training/run-log.js";
import { deterministicPart } from "../../helpers/deterministic-part.js";

import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { makeRolloutPair, type RolloutPair } from "../../helpers/rollout-pair.js";

/** What a run has to keep besides weights and cursor: a replay and its threshold, pairs, probabilities of the student that wrote. */
const RUNS: Readonly<Record<string, readonly string[]>> = {
  "adaptive, with a replay": [
    "rollout.kind=adaptive",
    "rollout.adaptive={threshold: 0.7, capacity: 8}",
    "losses=[{name: skew-reverse-kl, topK: 6}]",
  ],
  "pairs, under DistiLLM-2": [
    "rollout.kind=pairs",
    "rollout.otherwise=sequence",
    "losses=[{name: distillm-2, topK: 6}]",
  ],
  "the mixture, under MiniLLM": [
    "rollout.acceptance={mixture: 0.3}",
    "rollout.teacherSampling={temperature: 1, topP: 1}",
    "losses=[{name: minillm, topK: 6, mix: 0.3}]",
    "training.numIterations=2",
  ],
  "a coin per row that moves": [
    "rollout.kind=mixed",
    "rollout.coin=row",
    "rollout.student=skd",
    "rollout.acceptance={rank: 2}",
    "rollout.lambda={kind: linear, from: 0, to: 1}",
    "losses=[{name: forward-kl, topK: 6}]",
  ],
};

describe("a run that stops and goes on", { timeout: 240_000 }, () => {
  let pair: RolloutPair;
  let server: LiveServer;

  before(async () => {
    pair = await makeRolloutPair();
    server = await startLiveServer({ model: pair.teacherDir });
  });
  after(async () => {
    await server?.stop();
    await pair?.remove();
  });

  /** Stops once step `stopAt` is done. */
  async function train(
    dir: string,
    own: readonly string[],
    { resume = false, stopAt = Infinity }: { resume?: boolean; stopAt?: number } = {},
  ): Promise<void> {
    const config = loadRunConfig({
      assignments: [
        `student.model=${pair.studentDir}`,
        `teacher.address=${server.grpcAddress}`,
        `data.train=${pair.dataFile}`,
        `data.evaluation=${pair.dataFile}`,
        "rollout={rows: 4, concurrency: 4, maxResponse: 12, blockLength: 3}",
        "optimizer.learningRate=0.01",
        "training={rounds: 6, minibatchSize: 4, threads: 1, seed: 3, evaluateEvery: 2}",
        "evaluation.rows=4",
        `output.dir=${dir}`,
        ...own,
      ],
    });
    const abort = new AbortController();
    await trainRun({
      config,
      resume,
      abort: abort.signal,
      note: () => undefined,
      onStep: ({ step }) => {
        if (step === stopAt) abort.abort();
      },
    });
  }

  async function written(dir: string) {
    const records = await readRunLog(join(dir, "metrics.jsonl"));
    const texts = await readFile(join(dir, "rollouts.jsonl"), "utf8");
    return { records: records.map(deterministicPart), texts: texts.split("\n") };
  }

  for (const [name, own] of Object.entries(RUNS)) {
    it(`has the texts and the bits of one that never stopped: ${name}`, async () => {
      const slug = name.replaceAll(/\W+/g, "-");
      const [whole, parts] = [join(pair.dir, slug), join(pair.dir, `${slug}-parts`)];
      await train(whole, own);
      await train(parts, own, { stopAt: 3 });
      await train(parts, own, { resume: true });
      assert.deepEqual(await written(parts), await written(whole));
    });
  }
});
