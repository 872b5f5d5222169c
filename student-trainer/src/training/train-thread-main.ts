/** Entry of the training thread (`TrainThread`): a `TrainStep` behind messages. */
import { parentPort, workerData } from "node:worker_threads";
import { invariant, unreachable } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { LossSet } from "../losses/loss-set.js";
import { TrainStep } from "./train-step.js";
import type {
  TrainThreadAnswer,
  TrainThreadCall,
  TrainThreadData,
} from "./train-thread-protocol.js";

invariant(parentPort !== null, "this file is the entry of a thread");
const port = parentPort;
const { config, weights, losses, sizes, ...options } = workerData as TrainThreadData;
const step = new TrainStep({
  ...options,
  model: { config, weights },
  losses: new LossSet(losses, sizes),
});

async function answer(call: TrainThreadCall): Promise<unknown> {
  switch (call.kind) {
    case "run":
      return step.run(call.minibatch, call.step, call.plainTexts);
    case "readWeights":
      return step.readWeights();
    case "readOptimizer":
      return step.readOptimizer();
    case "restoreOptimizer":
      return step.restoreOptimizer(call.state);
    case "close":
      await step.close();
      port.close();
      return undefined;
    default:
      return unreachable(call);
  }
}

let previous = Promise.resolve();
port.on("message", (call: TrainThreadCall) => {
  previous = previous.then(async () => {
    const message: TrainThreadAnswer = await answer(call).then(
      (value) => ({ kind: "result", value }),
      (caught: unknown) => {
        const { code, message: text } = TandemError.from(caught);
        return { kind: "error", code, message: text };
      },
    );
    if (call.kind !== "close") port.postMessage(message);
  });
});
