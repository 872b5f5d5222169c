import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { initFromTeacher } from "@tandem/student-trainer/checkpoint/init-student.js";
import { exportModel } from "@tandem/student-trainer/checkpoint/export-model.js";
import { readRunLog } from "@tandem/student-trainer/training/run-log.js";
import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { runTrainer } from "../../helpers/rollout-cli.js";

const example = (path: string) =>
  fileURLToPath(new URL(`../../../../examples/${path}`, import.meta.url));

/** One each of: text by both, given text with all logits and cross-entropy beside it, a coin between the student's text and given text, hidden
 * states, a schedule that follows the run. */
const METHODS = ["skd", "dtkd", "gkd", "kd-nas", "distillm"] as const;

describe("methods of examples/methods", { timeout: 120_000 }, () => {
  let folder: string;
  let teacher: LiveServer;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tandem-methods-"));
    const { writeData } = (await import(example("demo/make-data.mjs"))) as {
      readonly writeData: (options: object) => void;
    };
    writeData({ directory: join(folder, "data"), heldOutCount: 8, validationCount: 1 });
    const model = await initFromTeacher(example("demo/teacher"), [0, 2, 4]);
    const outDir = join(folder, "initial");
    await exportModel({ model, outDir, tokenizerDir: example("demo/teacher") });
    teacher = await startLiveServer({ model: example("demo/teacher") });
  });

  after(async () => {
    await teacher.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Six steps on 16 sequences. */
  async function train(name: string) {
    const runDir = join(folder, name);
    const values = [
      `teacher.address=${teacher.grpcAddress}`,
      `student.model=${join(folder, "initial")}`,
      `data.train=${join(folder, "data/train.jsonl")}`,
      `data.evaluation=${join(folder, "data/held-out.jsonl")}`,
      `output.dir=${runDir}`,
      "rollout.rows=16",
      "training.rounds=1",
      "training.minibatchSize=8",
      "training.threads=1",
      "optimizer.warmupSteps=0",
      "evaluation.rows=1",
    ];
    const config = ["--config", example(`methods/${name}.yaml`)];
    const { code, stderr } = await runTrainer(
      "train",
      ...config,
      ...values.flatMap((value) => ["--set", value]),
    );
    assert.equal(code, 0, stderr);
    const records = await readRunLog(join(runDir, "metrics.jsonl"));
    return {
      steps: records.flatMap((record) => (record.kind === "step" ? [record] : [])),
      evaluations: records.flatMap((record) => (record.kind === "evaluation" ? [record] : [])),
    };
  }

  it("train at the same time with one teacher: the loss falls, their numbers are logged", async () => {
    const runs = await Promise.all(METHODS.map(train));
    const [skd, dtkd, gkd, kdNas, distillm] = runs.map(({ steps }) => steps);
    for (const steps of [skd!, dtkd!, gkd!, kdNas!, distillm!]) {
      assert.equal(steps.length, 6);
      const [first, last] = [steps[0]!.losses, steps.at(-1)!.losses];
      for (const name of Object.keys(first)) {
        assert.ok(last[name]! < 0.9 * first[name]!, `${name}: ${first[name]} → ${last[name]}`);
      }
    }
    assert.ok(skd!.every(({ acceptance }) => acceptance! > 0.3 && acceptance! < 1));
    assert.ok(skd![0]!.teacherShare > 0);
    assert.deepEqual(Object.keys(dtkd![0]!.losses), ["dtkd", "cross-entropy"]);
    for (const { measures } of dtkd!) {
      // Both temperatures of a position add up to twice τ = 4, or a little more where one would fall below a quarter of τ.
      const sum = measures!["dtkd.teacherTemperature"]! + measures!["dtkd.studentTemperature"]!;
      assert.ok(sum > 8 - 1e-4 && sum < 8.2, `${sum}`);
    }
    assert.deepEqual(Object.keys(gkd![0]!.losses), ["generalized-jsd"]);
    assert.deepEqual(Object.keys(kdNas![0]!.losses), ["kd-nas", "cross-entropy"]);
    // φ as the example begins with it, and behind the last step: it rises by 0.1 where the answer's loss has.
    const [begin, end] = runs[4]!.evaluations;
    assert.equal(begin!["adaptiveThreshold"], 0.5);
    const rises = Number(end!["answerLoss"]) >= Number(begin!["answerLoss"]) + 0.1;
    assert.equal(end!["adaptiveThreshold"], rises ? 0.6 : 0.5);
  });
});
