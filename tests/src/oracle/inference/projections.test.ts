import { describe, it } from "node:test";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { stateNumber, type StateKind } from "@tandem/shared/wire/state-number.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { readTensors, signalOf, tinyModelDir } from "../../helpers/tiny-models.js";

/** By the letter of tests/peers/make_projection_fixtures.py. */
const KINDS = { q: "queries", k: "keys", v: "values" } as const satisfies Record<string, StateKind>;

describe("what blocks project for attention, against transformers", () => {
  for (const name of ["llama-bias", "llama-tied", "mistral", "qwen2", "qwen3", "gpt2"]) {
    it(`of ${name}, beside the residual stream, at the laws that are wanted`, async () => {
      const dir = tinyModelDir(name);
      const expected = await readTensors(`${dir}/expected.safetensors`);
      const projections = await readTensors(`${dir}/projections.safetensors`);
      const tokens = Uint32Array.from(expected.get("tokens")!);
      const wanted = [...projections].map(([key, values]) => {
        const [letter, block] = key.split(".") as [keyof typeof KINDS, string];
        const number = stateNumber({ kind: KINDS[letter], layer: Number(block) });
        return { key, values, number };
      });
      const runner = await ModelRunner.load({ dir, threads: 1 });
      try {
        const hiddenLayers = [1, ...wanted.map(({ number }) => number)];
        const [first, count] = [3, 7];
        const row = {
          past: 0,
          tokens,
          maxLength: tokens.length,
          head: { first, targets: new Uint32Array(count), spec: signalOf({ hiddenLayers }) },
        };
        // A row in front that wants none: rows are packed behind each other.
        const { head: _head, ...silent } = row;
        const { rows } = await runner.run({
          release: [],
          rows: [
            { ...silent, cache: 1 },
            { ...row, cache: 2 },
          ],
        });
        const { hidden } = rows[1]!.signal!;
        // As in transformers-parity.test.ts: float32 against float64.
        const tolerance = { rtol: 2e-5, atol: 5e-5 };
        const cut = (values: Float32Array) => {
          const width = values.length / tokens.length;
          return values.subarray(first * width, (first + count) * width);
        };
        for (const { key, values, number } of wanted) {
          assertAllClose(hidden!.get(number)!, cut(values), tolerance, `${name} ${key}`);
        }
        assertAllClose(hidden!.get(1)!, cut(expected.get("hidden_1")!), tolerance, "stream");
      } finally {
        await runner.close();
      }
    });
  }
});
