import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { assertAllClose } from "../../helpers/all-close.js";
import { largeLogits } from "./large-logits.js";
import { evaluateRows } from "./method-rows.js";

/** Written by tests/peers/make_loss_fixtures.py. */
interface LargeFixture {
  readonly targets: readonly number[];
  readonly draws: {
    readonly ids: readonly (readonly number[])[];
    readonly counts: readonly (readonly number[])[];
  };
  readonly cases: readonly {
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    readonly value: readonly number[];
    /** Per row, some ids and the gradient there. */
    readonly ids: readonly (readonly number[])[];
    readonly gradient: readonly (readonly number[])[];
    /** Per row, Σ |gradient|. */
    readonly magnitude: readonly number[];
  }[];
}

const vocabulary = 49_152;
const rows = 2;
const url = new URL("../../../fixtures/losses/losses-49152.json", import.meta.url);
const fixture = JSON.parse(await readFile(fileURLToPath(url), "utf8")) as LargeFixture;

describe("losses on onnxruntime equal PyTorch in float64, V = 49,152", () => {
  const student = largeLogits(0.5, { rows, vocabulary });
  const teacher = largeLogits(0, { rows, vocabulary });
  const draws = fixture.draws.ids.map((ids, row) =>
    ids.map((id, at) => ({ id, count: fixture.draws.counts[row]![at]! })),
  );
  for (const own of fixture.cases) {
    it(`${own.name} ${JSON.stringify(own.options)}`, async () => {
      const { perToken, gradient } = await evaluateRows(
        { loss: own.name, options: own.options },
        {
          vocabulary,
          student,
          teacher,
          targets: Uint32Array.from(fixture.targets),
          draws,
          engine: "onnx",
        },
      );
      // Sums of 49,152 float32 terms: on 8 lanes, unrolled fourfold, 1,536 additions of up to 2⁻²⁴ each, 9e-5 of the normaliser at worst, which is an
      // absolute error of every log-probability (seen: 2.6e-5 with AVX2, below 1e-5 with AVX-512).
      assertAllClose(perToken, own.value, { rtol: 1e-4, atol: 5e-5 }, "value");
      for (let row = 0; row < rows; row++) {
        // The gradient is that of the mean over both rows.
        const sampled = own.ids[row]!.map((id) => gradient[row * vocabulary + id]! * rows);
        assertAllClose(sampled, own.gradient[row]!, { rtol: 2e-3, atol: 1e-6 }, "gradient");
        const slopes = gradient.subarray(row * vocabulary, (row + 1) * vocabulary);
        const magnitude = slopes.reduce((sum, x) => sum + Math.abs(x), 0) * rows;
        const expected = [own.magnitude[row]!];
        assertAllClose([magnitude], expected, { rtol: 1e-3, atol: 1e-5 }, "Σ|gradient|");
      }
    });
  }
});
