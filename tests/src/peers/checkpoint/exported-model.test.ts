import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { decodeWeights } from "@tandem/shared/checkpoint/decode-weights.js";
import { encodeWeights } from "@tandem/shared/checkpoint/encode-weights.js";
import { exportModel } from "@tandem/student-trainer/checkpoint/export-model.js";
import { loadStudent } from "@tandem/student-trainer/checkpoint/load-student.js";
import type { StudentModel } from "@tandem/student-trainer/checkpoint/student-model.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { TINY_VOCABULARY, tinyModelDir } from "../../helpers/tiny-models.js";
import { toRollout } from "../../oracle/training/training-fixture.js";
import { forwardLogits } from "../../oracle/checkpoint/forward-logits.js";

const python = process.env["TANDEM_PYTHON"];
const IDS = [
  [5, 17, 3, 88, 41, 9],
  [60, 61, 4, 4, 12, 96],
];
const MODELS = [
  "llama-tied",
  "llama-bias",
  "llama-rope-llama3",
  "qwen2",
  "qwen3",
  "mistral",
  "gpt2",
];

interface Loaded {
  readonly stored: string;
  readonly logits: readonly number[];
  readonly eos: number;
}

async function transformersLogits(dirs: readonly string[]): Promise<readonly Loaded[]> {
  assert.ok(python, "TANDEM_PYTHON names a Python with torch and transformers");
  const script = fileURLToPath(new URL("../../../peers/exported_logits.py", import.meta.url));
  const jobs = JSON.stringify(dirs.map((dir) => ({ dir, ids: IDS })));
  const { stdout } = await promisify(execFile)(python, [script, jobs], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as Loaded[];
}

/** Two steps, so that the weights are no longer those that transformers wrote. */
async function trained(name: string): Promise<StudentModel> {
  const model = await loadStudent(tinyModelDir(name));
  const step = new TrainStep({
    model,
    vocabulary: TINY_VOCABULARY,
    losses: new LossSet(lossesSchema.parse([{ name: "cross-entropy" }])),
    optimizer: optimizerSchema.parse({ learningRate: 0.01 }),
    reduction: "token",
    microBatchSize: null,
    totalSteps: 2,
    threads: 1,
  });
  for (const index of [0, 1]) await step.run([toRollout([2, [5, 6, 7, 8, 9]], 0)], index);
  await step.close();
  return model;
}

describe("an exported student", () => {
  let root = "";
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "tandem-export-"));
  });
  after(async () => rm(root, { recursive: true, force: true }));

  it("is loaded by transformers as it is and gives the same logits", async () => {
    const models = await Promise.all(MODELS.map(trained));
    const dirs = MODELS.map((name) => join(root, name));
    for (const [index, model] of models.entries())
      await exportModel({ model, outDir: dirs[index]! });
    const loaded = await transformersLogits(dirs);
    for (const [index, model] of models.entries()) {
      const expected = await forwardLogits(model, IDS);
      // Both f32; logits of size 1.
      assertAllClose(loaded[index]!.logits, expected, { rtol: 1e-5, atol: 1e-5 }, MODELS[index]);
    }
  });

  it("may be stored in half precision", async () => {
    const model = await trained("llama-bias");
    const stored = { f16: "F16", bf16: "BF16" } as const;
    for (const dtype of ["f16", "bf16"] as const) {
      const outDir = join(root, dtype);
      await exportModel({ model, outDir, dtype });
      const [loaded] = await transformersLogits([outDir]);
      assert.equal(loaded!.stored, dtype === "f16" ? "torch.float16" : "torch.bfloat16");
      const rounded = [...model.weights].map(([name, values]) => {
        const kind = stored[dtype];
        return [name, decodeWeights(encodeWeights(values, kind), kind)] as const;
      });
      const expected = await forwardLogits({ ...model, weights: new Map(rounded) }, IDS);
      assertAllClose(loaded!.logits, expected, { rtol: 1e-5, atol: 1e-5 }, dtype);
    }
  });

  it("has the files that others look for", async () => {
    const outDir = join(root, "files");
    const model = await loadStudent(tinyModelDir("qwen2"));
    await exportModel({ model, outDir, tokenizerDir: tinyModelDir("qwen2") });
    assert.deepEqual((await readdir(outDir)).sort(), [
      "config.json",
      "generation_config.json",
      "model.safetensors",
    ]);
    const [loaded] = await transformersLogits([outDir]);
    assert.equal(loaded!.eos, model.config.eosTokenIds[0]);
  });
});
