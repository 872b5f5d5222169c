import type { StudentModel } from "../checkpoint/student-model.js";
import type { StepRunner } from "./step-runner.js";

/** Keeps the caller's model up to date with the one that is trained, which may lie in another thread. */
export class ModelMirror {
  readonly #model: StudentModel;
  readonly #runner: StepRunner;
  #current = true;

  constructor(model: StudentModel, runner: StepRunner) {
    this.#model = model;
    this.#runner = runner;
  }

  /** A step has changed the weights. */
  outdate(): void {
    this.#current = false;
  }

  /** The model with the weights as they are now. */
  async sync(): Promise<StudentModel> {
    if (this.#current) return this.#model;
    const weights = await this.#runner.readWeights();
    for (const [name, values] of this.#model.weights) {
      const now = weights.get(name);
      if (now !== undefined && now !== values) values.set(now);
    }
    this.#current = true;
    return this.#model;
  }
}
