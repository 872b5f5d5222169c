/** One process that trains, so that its peak memory is its own: `node train-child.js PLAN` prints `TrainTimes`. */
import { parseModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { philox4x32 } from "@tandem/shared/numeric/philox.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import type { TrainPlan, TrainTimes } from "./train-plan.js";

const plan = JSON.parse(process.argv[2] ?? "") as TrainPlan;
const config = parseModelConfig({ ...plan.model, architectures: ["LlamaForCausalLM"] });
const model = initFromScratch(config, 1);
const loss = plan.topK === 0 ? { name: "cross-entropy" } : { name: "forward-kl", topK: plan.topK };
const step = new TrainStep({
  model,
  vocabulary: config.vocabSize,
  losses: new LossSet(lossesSchema.parse([loss])),
  optimizer: optimizerSchema.parse({ learningRate: 1e-4, schedule: "constant" }),
  reduction: "token",
  microBatchSize: null,
  totalSteps: plan.steps,
  threads: plan.threads,
});

function word(row: number, at: number): number {
  return philox4x32([row, at, 0, 0], [1, 1])[0]!;
}

/** Synthetic: distinct ids, falling logits, a tenth of the mass outside. */
function makeSignal(row: number): TeacherSignal {
  const [n, k] = [plan.positions, plan.topK];
  const start = Array.from({ length: n }, (_, at) => word(row + 1000, at));
  const topLogits = Float32Array.from({ length: n * k }, (_, at) => 6 - 0.05 * (at % k));
  const lse = Math.log(topLogits.subarray(0, k).reduce((sum, u) => sum + Math.exp(u), 0));
  return {
    from: 1,
    count: n,
    topK: k,
    tauCount: 0,
    topIds: Uint32Array.from(
      { length: n * k },
      (_, at) => (start[Math.floor(at / k)]! + 131 * (at % k)) % config.vocabSize,
    ),
    topLogits,
    lse: new Float32Array(n).fill(lse - Math.log(0.9)),
    logTail: new Float32Array(n).fill(Math.log(0.1)),
  };
}

const batch: Rollout[] = Array.from({ length: plan.rows }, (_, row) => ({
  row,
  sample: 0,
  epoch: 0,
  prompt: Uint32Array.of(word(row, 0) % config.vocabSize),
  response: Uint32Array.from(
    { length: plan.positions },
    (_, at) => word(row, at + 1) % config.vocabSize,
  ),
  authors: new Uint8Array(plan.positions).fill(AUTHOR.data),
  finish: "length" as const,
  ...(plan.topK > 0 && { signal: makeSignal(row) }),
  stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
}));

const seconds: number[] = [];
const losses: number[] = [];
for (let index = 0; index < plan.steps; index++) {
  const start = performance.now();
  losses.push((await step.run(batch, index)).loss);
  seconds.push((performance.now() - start) / 1000);
}
await step.close();
const parameters = [...model.weights.values()].reduce((sum, { length }) => sum + length, 0);
const times: TrainTimes = {
  seconds,
  losses,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  parameters,
};
console.log(JSON.stringify(times));
