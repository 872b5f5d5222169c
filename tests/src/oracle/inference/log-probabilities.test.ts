import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { bestIds, logSumExp, untilMass } from "../../helpers/signal-of-logits.js";
import { signalsOfSpecs } from "../../helpers/signals-of-specs.js";
import { tinyModelDir, TINY_VOCABULARY } from "../../helpers/tiny-models.js";

const TOKENS = Uint32Array.from({ length: 24 }, (_, i) => (7 * i + 3) % TINY_VOCABULARY);
const LAWS = TOKENS.length - 1;
/** Each law has as many ids of the student's as its number modulo 3. */
const AT_OFFSETS = Uint32Array.from({ length: LAWS + 1 }, (_, law) =>
  Array.from({ length: law }, (__, i) => i % 3).reduce((sum, length) => sum + length, 0),
);
const AT_IDS = Uint32Array.from(
  { length: AT_OFFSETS[LAWS]! },
  (_, i) => (11 * i) % TINY_VOCABULARY,
);

describe("a signal of log-probabilities", () => {
  let runner: ModelRunner;
  before(async () => {
    runner = await ModelRunner.load({ dir: tinyModelDir("llama-tied"), threads: 1 });
  });
  after(() => runner.close());

  const signalsOf = (...specs: Partial<SignalSpec>[]): Promise<TeacherSignal[]> =>
    signalsOfSpecs(runner, TOKENS, specs, { atOffsets: AT_OFFSETS, atIds: AT_IDS });

  for (const topPMass of [1, 0.6]) {
    it(`has logits less their normaliser, and neither that nor a tail: mass ${topPMass}`, async () => {
      const asked = { topK: 9, topPMass, token: true, lse: true };
      const [short, raw, dense] = await signalsOf({ ...asked, logProbs: true }, asked, {
        dense: "f32",
      });
      assert.equal(short!.logProbs, true);
      for (const part of ["lse", "logTail"] as const) assert.equal(short![part], undefined);
      for (const part of ["topIds", "topOffsets", "rank", "atOffsets"] as const) {
        assert.deepEqual(short![part], raw![part], part);
      }
      const laws = Array.from({ length: LAWS }, (_, law) => {
        const u = dense!.dense!.subarray(law * TINY_VOCABULARY, (law + 1) * TINY_VOCABULARY);
        return Array.from(u, (logit) => logit - logSumExp([...u]));
      });
      // float32 logits of a few nats, and a normaliser summed in float32
      const close = { rtol: 0, atol: 2e-6 };
      const best = laws.map((law) => untilMass(law, bestIds(law, 9), topPMass));
      const listed = laws.flatMap((law, i) => best[i]!.map((id) => law[id]!));
      assertAllClose(short!.topLogits!, listed, close);
      assertAllClose(
        short!.tokenLogit!,
        laws.map((law, i) => law[TOKENS[i + 1]!]!),
        close,
      );
      const at = laws.flatMap((law, i) =>
        [...AT_IDS.subarray(AT_OFFSETS[i], AT_OFFSETS[i + 1])].map((id) => law[id]!),
      );
      assertAllClose(short!.atLogits!, at, close);
    });
  }

  it("leaves out the list's ids on request, and is the same bits beside others", async () => {
    const asked = { topK: 9, logProbs: true };
    const [alone] = await signalsOf(asked);
    const [values, among] = await signalsOf({ ...asked, omitTopIds: true }, asked, {
      topK: 20,
      moments: true,
    });
    assert.deepEqual(among, alone);
    const { topIds, ...others } = alone!;
    assert.equal(topIds!.length, 9 * LAWS);
    assert.deepEqual(values, others);
  });
});
