import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Rollout } from "../rollout/rollout.js";
import type { OptimizerState, StepResult, StepRunner } from "./step-runner.js";
import type { TrainStepOptions } from "./train-step.js";
import type {
  TrainThreadAnswer,
  TrainThreadCall,
  TrainThreadData,
} from "./train-thread-protocol.js";

interface PendingCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: TandemError) => void;
}

/** Steps in a thread of their own: a step occupies its thread for seconds, in which connections to the teacher must be answered and the
 * next batch may be written. The thread owns copies of the weights; `readWeights` copies them back. */
export class TrainThread implements StepRunner {
  readonly #worker: Worker;
  readonly #pending: PendingCall[] = [];
  #ended: TandemError | undefined;

  constructor({ model, losses, ...options }: TrainStepOptions) {
    const workerData: TrainThreadData = {
      vocabulary: options.vocabulary,
      optimizer: options.optimizer,
      reduction: options.reduction,
      microBatchSize: options.microBatchSize,
      totalSteps: options.totalSteps,
      threads: options.threads,
      plainText: options.plainText,
      config: model.config,
      weights: model.weights,
      losses: losses.config,
      sizes: losses.sizes,
    };
    this.#worker = new Worker(new URL("./train-thread-main.js", import.meta.url), { workerData });
    this.#worker.on("message", (message: TrainThreadAnswer) => this.#settle(message));
    this.#worker.on("error", (cause) => {
      this.#end(
        new TandemError("INTERNAL", `the training thread failed: ${cause.message}`, { cause }),
      );
    });
    this.#worker.on("exit", () =>
      this.#end(new TandemError("INTERNAL", "the training thread has ended")),
    );
  }

  run(
    minibatch: readonly Rollout[],
    step: number,
    plainTexts: readonly Rollout[] = [],
  ): Promise<StepResult> {
    return this.#call({
      kind: "run",
      minibatch: minibatch.map(compact),
      step,
      plainTexts: plainTexts.map(compact),
    }) as Promise<StepResult>;
  }

  readWeights(): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#call({ kind: "readWeights" }) as Promise<ReadonlyMap<string, Float32Array>>;
  }

  readOptimizer(): Promise<OptimizerState> {
    return this.#call({ kind: "readOptimizer" }) as Promise<OptimizerState>;
  }

  async restoreOptimizer(state: OptimizerState): Promise<void> {
    await this.#call({ kind: "restoreOptimizer", state });
  }

  /** Lets the call in progress end first. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const ended = once(this.#worker, "exit");
    this.#worker.postMessage({ kind: "close" } satisfies TrainThreadCall);
    await ended;
  }

  #call(call: TrainThreadCall): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      this.#worker.postMessage(call);
    });
  }

  #settle(message: TrainThreadAnswer): void {
    const call = this.#pending.shift();
    if (message.kind === "result") call?.resolve(message.value);
    else call?.reject(new TandemError(message.code, message.message));
  }

  #end(reason: TandemError): void {
    this.#ended ??= reason;
    for (const { reject } of this.#pending.splice(0)) reject(this.#ended);
  }
}

/** Messages carry the whole buffer behind a view: views of larger buffers become arrays of their own. */
function compact<T>(value: T): T {
  if (ArrayBuffer.isView(value)) {
    // Every array of a rollout is a typed array, of whichever kind.
    const array = value as unknown as Uint8Array;
    return array.byteLength === array.buffer.byteLength ? value : (array.slice() as unknown as T);
  }
  if (value instanceof Map) {
    return new Map([...value].map(([key, each]) => [key, compact<unknown>(each)])) as T;
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, compact<unknown>(each)]),
  ) as T;
}
