import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { trainRun } from "@tandem/student-trainer/cli/train-run.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { readRunLog } from "@tandem/student-trainer/training/run-log.js";

import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { makeRolloutPair, type RolloutPair } from "../../helpers/rollout-pair.js";

describe("a run with two teachers", { timeout: 120_000 }, () => {
  let pair: RolloutPair;
  const servers: LiveServer[] = [];
  let data = "";

  before(async () => {
    pair = await makeRolloutPair();
    for (const model of [pair.teacherDir, pair.studentDir]) {
      servers.push(await startLiveServer({ model }));
    }
    data = join(pair.dir, "tagged.jsonl");
    const lines = Array.from({ length: 8 }, (_, i) => ({
      prompt: `${100 + i}*7=`,
      ...(i % 2 === 1 && { by: "small", hint: `${(100 + i) * 7}:${100 + i}*7=` }),
    }));
    await writeFile(data, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  });
  after(async () => {
    for (const server of servers) await server.stop();
    await pair?.remove();
  });

  function train(dir: string, own: readonly string[]) {
    const config = loadRunConfig({
      assignments: [
        `student.model=${pair.studentDir}`,
        `teacher.address=${servers[0]!.grpcAddress}`,
        `teachers.small.address=${servers[1]!.grpcAddress}`,
        `data.train=${data}`,
        "data.teacher=by",
        "data.teacherPrompt=hint",
        "rollout={rows: 8, maxResponse: 8, acceptance: {rank: 3}}",
        "training={rounds: 2, minibatchSize: 8, threads: 1}",
        "optimizer.learningRate=0.01",
        `output.dir=${join(pair.dir, dir)}`,
        ...own,
      ],
    });
    const abort = new AbortController().signal;
    const note = () => undefined;
    return trainRun({ config, resume: false, abort, note, onStep: note });
  }

  it("sends each row to its own, asks the named one about all, and remembers both", async () => {
    const losses =
      "losses=[{name: forward-kl, topK: 6}, {name: reverse-kl, topK: 6, teacher: small, weight: 0.5}]";
    const { runDir } = await train("both", [losses]);
    const records = await readRunLog(join(runDir, "metrics.jsonl"));
    const steps = records.flatMap((record) => (record.kind === "step" ? [record] : []));
    assert.equal(steps.length, 2);
    for (const { loss, losses: parts } of steps) {
      assert.deepEqual(Object.keys(parts), ["forward-kl", "reverse-kl"]);
      assert.ok(Number.isFinite(loss));
    }
    const remembered = await Promise.all(
      ["teacher.json", "teacher.small.json"].map(async (name) => {
        const text = await readFile(join(runDir, name), "utf8");
        return (JSON.parse(text) as { readonly weightsDigest: string }).weightsDigest;
      }),
    );
    assert.equal(new Set(remembered).size, 2, "each has its own weights");
  });

  it("learns plain text from one of them too, and says what it can't give before the first step", async () => {
    const text = join(pair.dir, "plain.jsonl");
    const lines = ["12*7=84", "9*8=72", "3*3=9"].map(
      (line) => `${JSON.stringify({ text: line })}\n`,
    );
    await writeFile(text, lines.join(""));
    const plain = (own: string) =>
      `data.plainText={train: ${JSON.stringify(text)}, rows: 2, length: 8, distillation: {share: 0.5, ${own}}}`;
    const losses = "losses=[{name: forward-kl, topK: 6}]";
    const { runDir } = await train("plain", [losses, plain("topK: 6, teacher: small")]);
    const records = await readRunLog(join(runDir, "metrics.jsonl"));
    const steps = records.flatMap((record) => (record.kind === "step" ? [record] : []));
    for (const { loss, losses: parts } of steps) {
      const [own, labels, kl] = ["forward-kl", "plain-text", "plain-text-kl"].map(
        (name) => parts[name]!,
      );
      assert.ok(Math.abs(loss - (own! + 0.5 * labels! + 0.5 * kl!)) < 1e-5 * loss);
    }
    // `small` is what the student was before its first step, from which the other teacher moves it away; compact logits are off by up to 0.01.
    const [first, second] = steps.map((step) => step.losses["plain-text-kl"]!);
    assert.ok(Math.abs(first!) < 2e-3 && second! > 0.02, `${first} ${second}`);
    await assert.rejects(train("long", [losses, plain("topK: 500")]), {
      code: "INVALID_ARGUMENT",
      field: "data.plainText.distillation.topK",
    });
  });

  it("is refused before the first step where one of them counts tokens otherwise", async () => {
    const other = await startLiveServer({ model: fixtureModel("llama-tied") });
    try {
      const own = [
        `teachers.small.address=${other.grpcAddress}`,
        "losses=[{name: forward-kl, topK: 6}, {name: reverse-kl, topK: 6, teacher: small}]",
      ];
      await assert.rejects(train("otherwise", own), {
        code: "FAILED_PRECONDITION",
        message: /do not share a tokenizer/,
      });
    } finally {
      await other.stop();
    }
  });
});
