import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { readRun } from "@tandem/student-trainer/report/read-run.js";

describe("readRun", () => {
  let directory = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "tandem-report-"));
  });
  after(() => rm(directory, { recursive: true }));
  const put = (name: string, lines: readonly unknown[], end = "\n") =>
    writeFile(
      join(directory, name),
      lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n") +
        end,
    );
  const rejects = (code: string, message: RegExp) =>
    assert.rejects(readRun(directory), (error: unknown) => {
      assert.ok(error instanceof TandemError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });

  it("reads a directory in which nothing has been written yet", async () => {
    const run = await readRun(directory);
    assert.equal(run.steps.length + run.evaluations.length + run.sequences.length, 0);
    assert.equal(run.summary.size, 0);
  });

  it("reads steps, evaluations, sequences and the summary, and passes over other kinds and keys", async () => {
    await put("metrics.jsonl", [
      { kind: "evaluation", step: 0, accuracy: 0.25, count: 4 },
      { kind: "step", step: 1, loss: 1.5, acceptance: 0.75, learningRate: 0.1 },
      { kind: "checkpoint", step: 1 },
      { kind: "step", step: 2, loss: null },
    ]);
    await put("rollouts.jsonl", [
      {
        step: 1,
        row: 7,
        prompt: "1+1=",
        finish: "stop",
        pieces: ["2", "."],
        authors: [0, 1],
        ranks: [3, null],
        teacherTop: [[["2", 0.5]], []],
        studentTokens: [null, "!"],
      },
    ]);
    await put("summary.json", [{ accuracyAfter: 0.9, teacher: "t", nested: { a: 1 } }]);
    const run = await readRun(directory);
    assert.deepEqual(run.evaluations, [{ step: 0, accuracy: 0.25 }]);
    assert.deepEqual(run.steps, [
      { step: 1, loss: 1.5, acceptance: 0.75 },
      { step: 2, loss: NaN },
    ]);
    assert.deepEqual(run.sequences[0]?.tokens, [
      {
        piece: "2",
        author: "student",
        rank: 3,
        teacherTop: [{ piece: "2", probability: 0.5 }],
        studentTop: [],
      },
      { piece: ".", author: "teacher", draft: "!", teacherTop: [], studentTop: [] },
    ]);
    assert.deepEqual(
      [...run.summary],
      [
        ["accuracyAfter", 0.9],
        ["teacher", "t"],
      ],
    );
  });

  it("leaves out a last line that is still being written", async () => {
    await put("metrics.jsonl", [{ kind: "step", step: 1, loss: 1 }, '{"kind":"step","st'], "");
    assert.equal((await readRun(directory)).steps.length, 1);
  });

  it("names file and line of a line that is not JSON", async () => {
    await put("metrics.jsonl", [{ kind: "step", step: 1, loss: 1 }, "oops"]);
    await rejects("DATA_LOSS", /metrics\.jsonl line 2 is not JSON/);
  });

  it("names file, line and field of a line of the wrong form", async () => {
    await put("metrics.jsonl", [{ kind: "step", step: "one", loss: 1 }]);
    await rejects("DATA_LOSS", /metrics\.jsonl line 1: step/);
  });

  it("refuses a directory that does not exist", async () => {
    await assert.rejects(
      readRun(join(directory, "nowhere")),
      (error: unknown) => error instanceof TandemError && error.code === "NOT_FOUND",
    );
  });
});
