/** Step time and peak memory of training against PyTorch eager, in turns in the same run.
 * Options: --python PATH (default TANDEM_PYTHON), --turns N (2), --threads N (all), --top-k K (0: cross-entropy), --only 7M|49.6M. */
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { trainPlans, type TrainPlan, type TrainTimes } from "./train-plan.js";

const execute = promisify(execFile);

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      python: { type: "string", default: process.env["TANDEM_PYTHON"] ?? "" },
      turns: { type: "string", default: "2" },
      threads: { type: "string", default: String(availableParallelism()) },
      "top-k": { type: "string", default: "0" },
      only: { type: "string", default: "" },
    },
  });
  const python = String(values["python"]);
  if (python === "") {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "name a Python with torch and transformers: --python PATH or TANDEM_PYTHON",
    );
  }
  const plans = trainPlans(Number(values["threads"]), Number(values["top-k"]));
  const results: Record<string, object> = {};
  for (const plan of plans.filter(({ title }) => title.startsWith(String(values["only"])))) {
    results[plan.title] = await compare(plan, python, Number(values["turns"]));
  }
  return results;
}

/** In turns, so that a slow minute of the machine hits both. The first step of each process compiles and is left out. */
async function compare(plan: TrainPlan, python: string, turns: number): Promise<object> {
  const own: TrainTimes[] = [];
  const peer: TrainTimes[] = [];
  for (let turn = 0; turn < turns; turn++) {
    own.push(
      await child(
        process.execPath,
        fileURLToPath(new URL("./train-child.js", import.meta.url)),
        plan,
      ),
    );
    peer.push(
      await child(
        python,
        fileURLToPath(new URL("../../peers/bench_train.py", import.meta.url)),
        plan,
      ),
    );
  }
  const [tandem, pytorch] = [summarize(own, plan), summarize(peer, plan)];
  return {
    loss: plan.topK === 0 ? "cross-entropy" : `forward-kl, top ${plan.topK}`,
    threads: plan.threads,
    tandem,
    pytorch,
    timeRatio: tandem.secondsPerStep / pytorch.secondsPerStep,
    memoryRatio: tandem.peakMiB / pytorch.peakMiB,
  };
}

async function child(program: string, script: string, plan: TrainPlan): Promise<TrainTimes> {
  const { stdout } = await execute(program, [script, JSON.stringify(plan)], { maxBuffer: 1 << 24 });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as TrainTimes;
}

function summarize(times: readonly TrainTimes[], plan: TrainPlan) {
  const steps = times.flatMap(({ seconds }) => seconds.slice(1)).sort((a, b) => a - b);
  const secondsPerStep = steps[Math.floor(steps.length / 2)]!;
  return {
    parameters: times[0]!.parameters,
    secondsPerStep,
    fastestStep: steps[0]!,
    tokensPerSecond: (plan.rows * plan.positions) / secondsPerStep,
    peakMiB: Math.max(...times.map(({ peakBytes }) => peakBytes)) / 2 ** 20,
    lossFirst: times[0]!.losses[0]!,
  };
}
