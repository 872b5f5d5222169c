import type { Step, StepResult, StepRow, StepRowResult } from "@tandem/shared/inference/step.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";
import { sampleRow } from "@tandem/shared/sampling/sample-row.js";
import type { StudentRunner } from "@tandem/student-trainer/rollout/student-engine.js";

import { TOY_STUDENT, TOY_VOCABULARY, toyLogits } from "./toy-law.js";

/** A student runner over the toy law. Slots hold tokens in the place of keys and values: a rollback that forgets too little shows. */
export class ToyRunner implements StudentRunner {
  readonly vocabulary = TOY_VOCABULARY;
  readonly maxLength = 1000;
  /** Tokens fed and steps run, for accounting. */
  steps = 0;
  readonly #slots = new Map<number, number[]>();

  async run(step: Step): Promise<StepResult> {
    this.steps++;
    for (const cache of step.release) this.#slots.delete(cache);
    const rows = step.rows.map((row) => this.#runRow(row));
    return { rows, computeMs: 0, computedPositions: 0, headPositions: 0 };
  }

  async setWeights(): Promise<void> {
    this.#slots.clear();
  }

  get openSlots(): number {
    return this.#slots.size;
  }

  #runRow({ cache, past, tokens, head }: StepRow): StepRowResult {
    const slot = this.#slots.get(cache) ?? [];
    if (past > slot.length) throw new Error(`past ${past} beyond ${slot.length} cached positions`);
    slot.length = past;
    slot.push(...tokens);
    this.#slots.set(cache, slot);
    if (head?.sample === undefined || head.random === undefined) return { cache };
    const uniform = uniformAt({
      runSeed: head.random.runSeed,
      rngKey: head.random.rngKey,
      position: head.random.firstPosition,
      stream: head.random.stream ?? "replacement",
    });
    return { cache, sampled: sampleRow(toyLogits(slot, TOY_STUDENT), head.sample, uniform) };
  }
}
