import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  readRunLog,
  RunLog,
  type RunRecord,
  type StepRecord,
} from "@tandem/student-trainer/training/run-log.js";
import { deterministicPart } from "../../helpers/deterministic-part.js";
import { summarizeRun } from "@tandem/student-trainer/training/summary.js";

let dir = "";
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "tandem-log-"));
});
after(async () => rm(dir, { recursive: true, force: true }));

function step(number: number, parts: Partial<StepRecord> = {}): StepRecord {
  return {
    kind: "step",
    step: number,
    round: 0,
    iteration: 0,
    epoch: 0,
    loss: 2 / number,
    losses: { "forward-kl": 2 / number },
    gradNorm: 1,
    learningRate: 0.1,
    tokens: 10,
    teacherShare: 0,
    tokensPerSecond: 20,
    teacherWaitMs: 0,
    seconds: 0.5,
    rolloutSeconds: 0,
    ...parts,
  };
}

describe("metrics.jsonl", () => {
  it("gives back what was appended", async () => {
    const path = join(dir, "a.jsonl");
    const log = await RunLog.open(path, 0);
    const records: RunRecord[] = [
      { kind: "evaluation", step: 0, accuracy: 0.25 },
      step(1),
      step(2),
    ];
    for (const record of records) await log.append(record);
    await log.sync();
    assert.equal(log.sizeBytes, (await readFile(path)).length);
    await log.close();
    assert.deepEqual(await readRunLog(path), records);
  });

  it("is cut back to where a checkpoint was taken, then goes on", async () => {
    const path = join(dir, "b.jsonl");
    const first = await RunLog.open(path, 0);
    await first.append(step(1));
    const kept = first.sizeBytes;
    await first.append(step(2));
    await first.close();
    await appendFile(path, '{"kind":"st');
    const second = await RunLog.open(path, kept);
    await second.append(step(3));
    await second.close();
    assert.deepEqual(await readRunLog(path), [step(1), step(3)]);
  });

  it("refuses to go on when lines are missing", async () => {
    const path = join(dir, "c.jsonl");
    await assert.rejects(RunLog.open(path, 5), {
      code: "DATA_LOSS",
      message: /has 0 bytes, the checkpoint was taken at 5/,
    });
  });

  it("names file and line that is not JSON", async () => {
    const path = join(dir, "d.jsonl");
    await writeFile(path, `${JSON.stringify(step(1))}\nnonsense\n`);
    await assert.rejects(readRunLog(path), { code: "DATA_LOSS", message: /d\.jsonl:2 / });
  });
});

describe("the deterministic part of a record", () => {
  it("leaves out what the clock said, and nothing else", () => {
    const slower = step(1, { seconds: 9, rolloutSeconds: 9, teacherWaitMs: 9, tokensPerSecond: 1 });
    assert.deepEqual(deterministicPart(slower), deterministicPart(step(1)));
    assert.notDeepEqual(
      deterministicPart(step(1, { loss: 2 + 2 ** -51 })),
      deterministicPart(step(1)),
    );
  });
});

describe("the summary of a run", () => {
  it("is taken from its first and last records", () => {
    const records: RunRecord[] = [
      { kind: "evaluation", step: 0, accuracy: 0.1 },
      step(1, { acceptance: 0.5, rolloutSeconds: 3, teacherWaitMs: 250 }),
      { kind: "evaluation", step: 1, accuracy: 0.4 },
      step(2, { acceptance: 0.9, round: 1, tokens: 30 }),
      { kind: "evaluation", step: 2, accuracy: 0.8 },
    ];
    assert.deepEqual(summarizeRun(records), {
      steps: 2,
      rounds: 2,
      tokens: 40,
      lossFirst: 2,
      lossLast: 1,
      accuracyBefore: 0.1,
      accuracyAfter: 0.8,
      acceptanceFirst: 0.5,
      acceptanceLast: 0.9,
      trainSeconds: 1,
      rolloutSeconds: 3,
      teacherWaitSeconds: 0.25,
      tokensPerSecond: 40,
    });
  });

  it("leaves out what does not apply", () => {
    assert.deepEqual(Object.keys(summarizeRun([])), [
      "steps",
      "rounds",
      "tokens",
      "trainSeconds",
      "rolloutSeconds",
      "teacherWaitSeconds",
      "tokensPerSecond",
    ]);
  });
});
