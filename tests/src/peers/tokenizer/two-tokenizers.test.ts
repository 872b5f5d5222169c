import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { loadTokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { exportModel } from "@tandem/student-trainer/checkpoint/export-model.js";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { byteEnds, pairSpans } from "@tandem/student-trainer/teacher/token-spans.js";
import { matchVocabularies } from "@tandem/student-trainer/teacher/vocabulary-match.js";
import { readRunLog } from "@tandem/student-trainer/training/run-log.js";
import { startLiveServer } from "../../helpers/live-server.js";
import { runTrainer } from "../../helpers/rollout-cli.js";
import { TINY_LLAMA } from "../../invariants/training/fixture-run.js";

const ENDS = fileURLToPath(new URL("../../../../tests/peers/token_ends.py", import.meta.url));

/** Set by .ci/run; a missing peer fails rather than skips. */
function fromEnvironment(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set; see .ci/run`);
  return value;
}

/** Problems of GSM8K. */
async function readProblems(count: number) {
  const lines = (await readFile(fromEnvironment("TANDEM_TEST_TEXTS"), "utf8")).split("\n");
  return lines
    .slice(0, count)
    .map((line) => JSON.parse(line) as { readonly question: string; readonly answer: string });
}

const modelDir = (name: string) => join(fromEnvironment("TANDEM_TEST_MODELS"), name);
const student = () => modelDir("SmolLM2-135M-Instruct");
const teacher = () => modelDir("Qwen3-tokenizer");

describe("SmolLM2's tokenizer beside Qwen3's", { timeout: 300_000 }, () => {
  it("is aligned by bytes wherever both sides' tokens end together", async () => {
    const [own, other] = [await loadTokenizer(student()), await loadTokenizer(teacher())];
    const problems = await readProblems(100);
    const texts = problems.flatMap(({ question, answer }) => [question, answer]);
    const input = JSON.stringify(texts);
    const args = [ENDS, student(), teacher()];
    const output = execFileSync(fromEnvironment("TANDEM_PYTHON"), args, {
      input,
      maxBuffer: 1 << 28,
    });
    const expected = JSON.parse(output.toString()) as {
      readonly matched: number;
      readonly texts: readonly (readonly [readonly number[], readonly number[]])[];
    };
    let longer = 0;
    texts.forEach((text, at) => {
      const bytes = new TextEncoder().encode(text);
      const [a, b] = [own, other].map((tokenizer) =>
        byteEnds(tokenizer, tokenizer.encode(text, { special: false }), bytes),
      );
      assert.deepEqual([[...a!], [...b!]], expected.texts[at], text);
      const common = expected.texts[at]![0].filter((end) => expected.texts[at]![1].includes(end));
      const pairs = pairSpans(a!, b!);
      assert.deepEqual(
        pairs.map(({ own: [, to] }) => a![to - 1]),
        common,
      );
      assert.deepEqual(
        pairs.map(({ other: [, to] }) => b![to - 1]),
        common,
      );
      longer += pairs.filter(({ own: [from, to] }) => to - from > 1).length;
    });
    assert.ok(longer > 100, "words that only one side has as a token");
    assert.equal(matchVocabularies(own, other).matched, expected.matched);
  });

  it("is distilled across by gold, on laws over 151,669 and 49,152 tokens", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tandem-real-tokenizers-"));
    const make = async (name: string, tokenizerDir: string, seed: number) => {
      const { vocabularySize: vocabSize, eosId } = await loadTokenizer(tokenizerDir);
      const config = { ...TINY_LLAMA, vocabSize, contextLength: 512, eosTokenIds: [eosId!] };
      const outDir = join(folder, name);
      await exportModel({ model: initFromScratch(config, seed), outDir, tokenizerDir });
      return outDir;
    };
    const served = await startLiveServer({ model: await make("teacher", teacher(), 1) });
    try {
      const data = join(folder, "train.jsonl");
      const rows = (await readProblems(4)).map(({ question: prompt, answer }) =>
        JSON.stringify({ prompt, answer }),
      );
      await writeFile(data, rows.join("\n"));
      const values = [
        `teacher.address=${served.grpcAddress}`,
        `teacher.tokenizer=${teacher()}`,
        `student.model=${await make("student", student(), 2)}`,
        `data.train=${data}`,
        `output.dir=${join(folder, "run")}`,
        "rollout.kind=supervised",
        "rollout.rows=4",
        "rollout.maxResponse=256",
        "training.rounds=4",
        "training.minibatchSize=4",
        "training.threads=1",
        "optimizer.learningRate=5e-3",
        "optimizer.warmupSteps=0",
        "losses=[{name: gold, topK: 256}]",
      ];
      const flags = values.flatMap((value) => ["--set", value]);
      const { code, stderr } = await runTrainer("train", ...flags);
      assert.equal(code, 0, stderr);
      const records = await readRunLog(join(folder, "run", "metrics.jsonl"));
      const losses = records.flatMap((record) =>
        record.kind === "step" ? [record.losses["gold"]!] : [],
      );
      assert.equal(losses.length, 4);
      assert.ok(losses.every((value) => value > 0 && Number.isFinite(value)));
      assert.ok(losses.at(-1)! < losses[0]!, losses.join());
    } finally {
      await served.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
