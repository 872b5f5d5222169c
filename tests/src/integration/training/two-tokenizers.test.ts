import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { exportModel } from "@tandem/student-trainer/checkpoint/export-model.js";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { runTrainer } from "../../helpers/rollout-cli.js";
import { TINY_LLAMA } from "../../invariants/training/fixture-run.js";

const tokenizer = (name: string) =>
  fileURLToPath(new URL(`../../../fixtures/tokenizer/${name}`, import.meta.url));

const TEXTS = [
  ["What does the student do?", "The student learns from the teacher."],
  ["Wie heißt das Wort?", "größere Wörter, naïve élèves 学生"],
  ["How many clips?", "Natalia sold 48 clips, then 24."],
  ["Lines?", "two\n\nlines and  spaces"],
] as const;

describe("a run whose teacher has another tokenizer", { timeout: 120_000 }, () => {
  let folder: string;
  let teacher: LiveServer;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tandem-tokenizers-"));
    const export_ = async (
      name: string,
      tokenizerName: string,
      vocabSize: number,
      seed: number,
    ) => {
      const config = { ...TINY_LLAMA, vocabSize, contextLength: 128, eosTokenIds: [1] };
      const model = initFromScratch(config, seed);
      const tokenizerDir = tokenizer(tokenizerName);
      await exportModel({ model, outDir: join(folder, name), tokenizerDir });
    };
    await export_("teacher", "sentencepiece", 460, 1);
    await export_("student", "byte-level", 380, 2);
    const rows = TEXTS.map(([prompt, answer]) => JSON.stringify({ prompt, answer }));
    await writeFile(join(folder, "train.jsonl"), rows.join("\n"));
    teacher = await startLiveServer({ model: join(folder, "teacher") });
  });

  after(async () => {
    await teacher.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function train(name: string, loss: string, more: readonly string[]) {
    const values = [
      `teacher.address=${teacher.grpcAddress}`,
      `student.model=${join(folder, "student")}`,
      `data.train=${join(folder, "train.jsonl")}`,
      `output.dir=${join(folder, name)}`,
      "rollout.rows=4",
      "rollout.maxResponse=64",
      "training.rounds=4",
      "training.minibatchSize=4",
      "training.threads=1",
      "optimizer.learningRate=5e-3",
      "optimizer.warmupSteps=0",
      `losses=${loss}`,
      ...more,
    ];
    return runTrainer("train", ...values.flatMap((value) => ["--set", value]));
  }

  it("learns from its laws, aligned by bytes", async () => {
    for (const kind of ["supervised", "on-policy"]) {
      const labels = kind === "supervised" ? ", {name: cross-entropy}" : "";
      const { code, stderr } = await train(kind, `[{name: gold, topK: 40}${labels}]`, [
        `teacher.tokenizer=${tokenizer("sentencepiece")}`,
        `rollout.kind=${kind}`,
      ]);
      assert.equal(code, 0, stderr);
      const lines = (await readFile(join(folder, kind, "metrics.jsonl"), "utf8"))
        .trim()
        .split("\n");
      const losses = lines
        .map((line) => JSON.parse(line) as { losses?: { gold: number } })
        .flatMap((record) => record.losses?.gold ?? []);
      assert.equal(losses.length, 4);
      assert.ok(losses.every((value) => value > 0 && Number.isFinite(value)));
      if (kind === "supervised") assert.ok(losses.at(-1)! < losses[0]!, losses.join());
    }
  });

  it("is refused without the name of that tokenizer", async () => {
    const { code, stderr } = await train("unnamed", "[{name: gold}]", ["rollout.kind=supervised"]);
    assert.notEqual(code, 0);
    assert.match(stderr, /do not share a tokenizer/);
  });

  it("is refused for a loss over one vocabulary, naming one that can", async () => {
    const { code, stderr } = await train("forward", "[{name: forward-kl, topK: 8}]", [
      `teacher.tokenizer=${tokenizer("sentencepiece")}`,
      "rollout.kind=supervised",
    ]);
    assert.notEqual(code, 0);
    assert.match(stderr, /losses\[0\] \(forward-kl\): the teacher has another tokenizer.*gold/);
  });

  it("is refused where the teacher would write, and under another tokenizer's name", async () => {
    const writes = await train("skd", "[{name: gold}]", [
      `teacher.tokenizer=${tokenizer("sentencepiece")}`,
      "rollout.kind=skd",
    ]);
    assert.match(writes.stderr, /rollout\.kind skd writes with the teacher/);
    const wrong = await train("wrong", "[{name: gold}]", [
      `teacher.tokenizer=${tokenizer("byte-level")}`,
      "rollout.kind=supervised",
    ]);
    assert.match(wrong.stderr, /has not the tokenizer that was named/);
  });
});
