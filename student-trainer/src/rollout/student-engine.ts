import type { Step, StepResult, StepRow } from "@tandem/shared/inference/step.js";

/** The part of a model runner that rollouts use. */
export interface StudentRunner {
  readonly vocabulary: number;
  readonly maxLength: number;
  run(step: Step): Promise<StepResult>;
  setWeights(weights: ReadonlyMap<string, Float32Array>): Promise<void>;
}

/** The student as a writer: hands out KV slots, frees them with the next step, and keeps weights from changing under a batch. */
export class StudentEngine {
  readonly runner: StudentRunner;
  #nextCache = 1;
  #released: number[] = [];
  #queue: Promise<unknown> = Promise.resolve();

  constructor(runner: StudentRunner) {
    this.runner = runner;
  }

  newCache(): number {
    return this.#nextCache++;
  }

  release(cache: number): void {
    this.#released.push(cache);
  }

  async step(rows: readonly StepRow[]): Promise<StepResult> {
    const release = this.#released;
    this.#released = [];
    return this.runner.run({ release, rows });
  }

  /** Runs one user of the model at a time, in the order of calls. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Replaces the weights when nobody writes; every cache is void then. */
  publish(weights: ReadonlyMap<string, Float32Array>): Promise<void> {
    return this.exclusive(async () => {
      this.#released = [];
      await this.runner.setWeights(weights);
    });
  }
}
