import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import type { StepRow } from "@tandem/shared/inference/step.js";
import { loadQuantizedModel } from "../../helpers/quantized-model.js";
import { signalOf, tinyModelDir, TINY_VOCABULARY } from "../../helpers/tiny-models.js";

/** A fixed row of tokens; different seeds give different rows. */
function tokensOf(seed: number, length: number): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => (seed * 31 + i * i * 7 + i * 13) % TINY_VOCABULARY);
}

/** A row that asks for the logits behind each of its tokens, bit by bit. */
function scored(cache: number, past: number, tokens: Uint32Array, maxLength = 60): StepRow {
  const targets = new Uint32Array(tokens.length);
  return {
    cache,
    past,
    tokens,
    maxLength,
    head: { first: 0, targets, spec: signalOf({ topK: 3, dense: "f32", token: true }) },
  };
}

const PRECISIONS = ["f32", "int8", "int4"] as const;
const CASES = ["llama-tied", "qwen3", "gpt2"].flatMap((model) =>
  PRECISIONS.map((precision) => ({ model, precision })),
);

for (const { model, precision } of CASES) {
  describe(`bits of ${model} in ${precision}`, () => {
    let runner: ModelRunner;
    before(async () => {
      runner =
        precision === "f32"
          ? await ModelRunner.load({ dir: tinyModelDir(model), threads: 1 })
          : await loadQuantizedModel(tinyModelDir(model), precision);
    });
    after(() => runner.close());

    async function logits(
      rows: readonly StepRow[],
      release: readonly number[] = [],
    ): Promise<Float32Array[]> {
      const result = await runner.run({ release, rows });
      return result.rows.map((row) => row.signal!.dense!);
    }

    /** All rows' logits computed alone and at once: the plain version. */
    async function alone(tokens: Uint32Array, cache = 900): Promise<Float32Array> {
      const [dense] = await logits([scored(cache, 0, tokens)]);
      await runner.run({ release: [cache], rows: [] });
      return dense!;
    }

    it("do not depend on how a row is cut into chunks", async () => {
      const tokens = tokensOf(1, 40);
      const whole = await alone(tokens);
      for (const cuts of [
        [40],
        [1, 39],
        [39, 1],
        [7, 1, 1, 13, 18],
        Array.from({ length: 40 }, () => 1),
      ]) {
        let past = 0;
        const pieces: number[] = [];
        for (const [i, length] of cuts.entries()) {
          const [dense] = await logits(
            [scored(2, past, tokens.subarray(past, past + length))],
            i === 0 ? [2] : [],
          );
          pieces.push(...dense!);
          past += length;
        }
        assert.deepEqual(Float32Array.from(pieces), whole, `chunks ${cuts.join(",")}`);
      }
    });

    it("do not depend on the rows beside", async () => {
      const rows = [3, 17, 40, 2, 1, 25].map((length, i) => tokensOf(i, length));
      const together = await logits(rows.map((tokens, i) => scored(10 + i, 0, tokens)));
      for (const [i, tokens] of rows.entries()) {
        assert.deepEqual(together[i], await alone(tokens), `row ${i} of ${tokens.length} tokens`);
      }
      await runner.run({ release: rows.map((_, i) => 10 + i), rows: [] });
    });

    it("do not depend on prefill and decoding sharing a step", async () => {
      const long = tokensOf(5, 30);
      const short = tokensOf(6, 9);
      await logits([scored(20, 0, short.subarray(0, 8))]);
      const [first, second] = await logits([scored(21, 0, long), scored(20, 8, short.subarray(8))]);
      assert.deepEqual(first, await alone(long));
      assert.deepEqual(second, (await alone(short)).slice(8 * TINY_VOCABULARY));
      await runner.run({ release: [20, 21], rows: [] });
    });

    it("do not depend on the length of the slot, nor on growing out of one", async () => {
      const tokens = tokensOf(7, 45);
      const expected = await alone(tokens);
      const [inLongSlot] = await logits([scored(30, 0, tokens, 120)]);
      assert.deepEqual(inLongSlot, expected);
      const [head] = await logits([scored(31, 0, tokens.subarray(0, 20), 20)]);
      const [tail] = await logits([scored(31, 20, tokens.subarray(20), 100)]);
      assert.deepEqual(Float32Array.from([...head!, ...tail!]), expected);
      await runner.run({ release: [30, 31], rows: [] });
    });

    it("do not depend on a prefix having been loaded from blocks", async () => {
      const tokens = tokensOf(8, 39);
      const expected = await alone(tokens);
      const places = [
        { block: 5, start: 0 },
        { block: 2, start: 16 },
      ];
      await logits([{ ...scored(40, 0, tokens.subarray(0, 35)), save: places }]);
      await logits([scored(40, 0, tokensOf(12, 35))]);
      for (const past of [32, 27]) {
        const [dense] = await logits(
          [{ ...scored(41, past, tokens.subarray(past), 100), load: places }],
          [41],
        );
        assert.deepEqual(dense, expected.slice(past * TINY_VOCABULARY), `from ${past} on`);
      }
      await logits([scored(42, 0, tokens.subarray(0, 18))]);
      const [behind] = await logits([
        { ...scored(42, 32, tokens.subarray(32)), load: places.slice(1) },
      ]);
      assert.deepEqual(
        behind,
        expected.slice(32 * TINY_VOCABULARY),
        "a block behind own positions",
      );
      await runner.run({ release: [40, 41, 42], rows: [] });
    });

    it("do not depend on who used the slot before", async () => {
      const tokens = tokensOf(9, 21);
      const expected = await alone(tokens);
      await logits([scored(50, 0, tokensOf(10, 50))]);
      const [again] = await logits([scored(51, 0, tokens)], [50]);
      assert.deepEqual(again, expected);
      // Going back and writing something else over what was there.
      await logits([scored(51, 5, tokensOf(11, 30))]);
      const [overwritten] = await logits([scored(51, 5, tokens.subarray(5))]);
      assert.deepEqual(overwritten, expected.slice(5 * TINY_VOCABULARY));
    });
  });
}
