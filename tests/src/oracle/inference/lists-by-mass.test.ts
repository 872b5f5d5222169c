import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { bestIds, logSumExp, untilMass } from "../../helpers/signal-of-logits.js";
import { signalsOfSpecs } from "../../helpers/signals-of-specs.js";
import { tinyModelDir, TINY_VOCABULARY } from "../../helpers/tiny-models.js";

const TOKENS = Uint32Array.from({ length: 24 }, (_, i) => (7 * i + 3) % TINY_VOCABULARY);
const TAUS = [0.5, 3];

describe("lists that end at a mass", () => {
  let runner: ModelRunner;
  before(async () => {
    runner = await ModelRunner.load({ dir: tinyModelDir("llama-tied"), threads: 1 });
  });
  after(() => runner.close());

  const signalsOf = (...specs: Partial<SignalSpec>[]): Promise<TeacherSignal[]> =>
    signalsOfSpecs(runner, TOKENS, specs);

  for (const [topK, topPMass] of [
    [8, 0.3],
    [40, 0.9],
    [90, 0.999],
    [TINY_VOCABULARY, 0.99],
    [TINY_VOCABULARY, 1e-6],
  ] as const) {
    it(`are the beginnings of whole ones, with the tail behind them: top ${topK}, mass ${topPMass}`, async () => {
      const [signal, dense] = await signalsOf(
        { topK, topPMass, taus: TAUS },
        { dense: "f32", topK: 1 },
      );
      const { topOffsets, topIds, topLogits, count } = signal!;
      for (let row = 0; row < count; row++) {
        const law = Array.from(
          dense!.dense!.subarray(row * TINY_VOCABULARY, (row + 1) * TINY_VOCABULARY),
        );
        const ids = untilMass(law, bestIds(law, topK), topPMass);
        const range = [topOffsets![row]!, topOffsets![row + 1]!] as const;
        assert.deepEqual([...topIds!.subarray(...range)], ids, `row ${row}`);
        assert.deepEqual(
          [...topLogits!.subarray(...range)],
          ids.map((id) => law[id]!),
        );
        const rest = law.filter((_, id) => !ids.includes(id));
        const tails = [1, ...TAUS].map(
          (tau) => logSumExp(rest.map((u) => u / tau)) - logSumExp(law.map((u) => u / tau)),
        );
        const got = [signal!.logTail![row]!, ...signal!.logTailAt!.subarray(2 * row, 2 * row + 2)];
        // float32 of a sum in float64 whose share behind the list is float32
        assertAllClose(got, tails, { rtol: 2e-6, atol: 2e-6 });
      }
    });
  }

  it("are the same bits whatever lists are cut beside them", async () => {
    const spec = { topK: 40, topPMass: 0.8, taus: TAUS };
    const [alone] = await signalsOf(spec);
    const [, among, whole] = await signalsOf({ ...spec, topPMass: 0.2 }, spec, {
      ...spec,
      topPMass: 1,
    });
    assert.deepEqual(among, alone);
    assert.equal(whole!.topOffsets, undefined);
    assert.deepEqual(whole!.lse, alone!.lse);
  });
});
