import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Step, StepResult } from "@tandem/shared/inference/step.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import type { Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import {
  StudentEngine,
  type StudentRunner,
} from "@tandem/student-trainer/rollout/student-engine.js";
import { studentLaws } from "@tandem/student-trainer/rollout/student-laws.js";

import { bestIds } from "../../../helpers/signal-of-logits.js";
import { TOY_STUDENT, TOY_VOCABULARY, toyLogits } from "../../../helpers/toy-law.js";

/** Answers scoring rows with the toy law: row r of a head is the law behind tokens[first + r]. */
class ScoringRunner implements StudentRunner {
  readonly vocabulary = TOY_VOCABULARY;
  readonly maxLength = 100;
  readonly open = new Set<number>();

  async run(step: Step): Promise<StepResult> {
    for (const cache of step.release) this.open.delete(cache);
    const rows = step.rows.map(({ cache, past, tokens, head }) => {
      this.open.add(cache);
      assert.ok(head !== undefined && past === 0);
      const { first, targets, spec } = head;
      assert.ok(first + targets.length <= tokens.length, "a law needs the token in front of it");
      const lists = Array.from(targets, (_, r) =>
        bestIds([...toyLogits(tokens.subarray(0, first + r + 1), TOY_STUDENT)], spec.topK),
      );
      const signal: TeacherSignal = {
        from: first + 1,
        count: targets.length,
        topK: spec.topK,
        tauCount: 0,
        topIds: Uint32Array.from(lists.flat()),
      };
      return { cache, signal };
    });
    return { rows, computeMs: 0, computedPositions: 0, headPositions: 0 };
  }

  async setWeights(): Promise<void> {}
}

function rolloutOf(prompt: readonly number[], response: readonly number[]): Rollout {
  return {
    row: 0,
    sample: 0,
    epoch: 0,
    prompt: Uint32Array.from(prompt),
    response: Uint32Array.from(response),
    authors: new Uint8Array(response.length),
    finish: "stop",
    stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
  };
}

describe("studentLaws", () => {
  it("gives the student's best ids behind every prefix of the response", async () => {
    const engine = new StudentEngine(new ScoringRunner());
    const laws = await studentLaws(engine, [rolloutOf([3, 1], [4, 1, 5]), rolloutOf([9], [2])], 3);
    const best = (context: readonly number[]) => bestIds([...toyLogits(context, TOY_STUDENT)], 3);
    assert.deepEqual(
      [...(laws[0]?.topIds ?? [])],
      [...best([3, 1]), ...best([3, 1, 4]), ...best([3, 1, 4, 1])],
    );
    assert.deepEqual([...(laws[1]?.topIds ?? [])], best([9]));
  });

  it("asks for no more than the vocabulary, and gives empty responses no law", async () => {
    const engine = new StudentEngine(new ScoringRunner());
    const laws = await studentLaws(engine, [rolloutOf([1], []), rolloutOf([2], [3])], 50);
    assert.equal(laws[0], undefined);
    assert.equal(laws[1]?.topK, TOY_VOCABULARY);
    assert.deepEqual(await studentLaws(engine, [rolloutOf([1], [])], 5), [undefined]);
  });

  it("frees its slots with the next step", async () => {
    const runner = new ScoringRunner();
    const engine = new StudentEngine(runner);
    await studentLaws(engine, [rolloutOf([1], [2]), rolloutOf([2], [3])], 2);
    await studentLaws(engine, [rolloutOf([1], [2])], 2);
    assert.equal(runner.open.size, 1);
  });
});
