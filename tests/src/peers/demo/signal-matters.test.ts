import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { exportModel } from "@tandem/student-trainer/checkpoint/export-model.js";
import { initFromTeacher } from "@tandem/student-trainer/checkpoint/init-student.js";
import { trainRun, type TrainRunOptions } from "@tandem/student-trainer/cli/train-run.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { ShufflingTeacher } from "./shuffling-teacher.js";

interface MakeData {
  readonly writeData: (options: {
    directory: string;
    heldOutCount: number;
    validationCount: number;
  }) => { train: string; heldOut: string };
}

const demo = new URL("../../../../examples/demo/", import.meta.url);
const teacherDir = fileURLToPath(new URL("teacher", demo));
const { writeData } = (await import(new URL("make-data.mjs", demo).href)) as MakeData;

/** A quarter of the demo, enough for a gain that nobody can mistake. */
const ROUNDS = 6;
const HELD_OUT = 100;

describe("the demo's gain", () => {
  let dir = "";
  let server: LiveServer;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "tandem-demo-"));
    writeData({ directory: dir, heldOutCount: HELD_OUT, validationCount: 1 });
    const model = await initFromTeacher(teacherDir, [0, 2, 4]);
    await exportModel({ model, outDir: join(dir, "initial"), tokenizerDir: teacherDir });
    server = await startLiveServer({ model: teacherDir });
  });
  after(async () => {
    await server.stop();
    await rm(dir, { recursive: true });
  });

  const distil = async (name: string, wrapTeacher?: TrainRunOptions["wrapTeacher"]) => {
    const config = loadRunConfig({
      file: fileURLToPath(new URL("skd.yaml", demo)),
      assignments: [
        `student.model=${join(dir, "initial")}`,
        `data.train=${join(dir, "train.jsonl")}`,
        `data.evaluation=${join(dir, "held-out.jsonl")}`,
        `teacher.address=${server.grpcAddress}`,
        `training.rounds=${ROUNDS}`,
        "training.threads=1",
        "training.evaluateEvery=1000",
        `output.dir=${join(dir, name)}`,
        // A block written ahead would be judged behind text that a handed-over verdict changes.
        "rollout.draftAhead=0",
      ],
    });
    const { summary } = await trainRun({
      config,
      resume: false,
      abort: new AbortController().signal,
      note: () => {},
      onStep: () => {},
      ...(wrapTeacher && { wrapTeacher }),
    });
    return summary as { readonly accuracyBefore: number; readonly accuracyAfter: number };
  };

  it("is there with the teacher's own answers", async (test) => {
    const { accuracyBefore, accuracyAfter } = await distil("own");
    test.diagnostic(`accuracy: ${accuracyBefore} before, ${accuracyAfter} afterwards`);
    assert.ok(accuracyAfter - accuracyBefore >= 0.2, `${accuracyBefore} → ${accuracyAfter}`);
  });

  it("disappears when verdicts and signals are shuffled between sequences", async (test) => {
    const { accuracyAfter } = await distil("shuffled", (teacher) => {
      const shuffling = new ShufflingTeacher(teacher);
      return {
        score: (question) => teacher.score(question),
        generate: (order) => teacher.generate(order),
        openSequence: (request) => shuffling.openSequence(request),
      };
    });
    test.diagnostic(`accuracy afterwards: ${accuracyAfter}`);
    assert.ok(accuracyAfter <= 0.02, `${accuracyAfter}`);
  });
});
