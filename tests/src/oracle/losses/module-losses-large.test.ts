/** The large cases of tests/peers/make_module_loss_fixtures.py: losses that own a module or relate positions, by PyTorch in float64. */
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { evaluateLoss, lossRequirement } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { largeLogits } from "./large-logits.js";
import { SIZES } from "./method-rows.js";

interface LargeModules {
  readonly targets: readonly number[];
  readonly cases: readonly {
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    /** Of the loss's parameters. */
    readonly shapes: Readonly<Record<string, readonly number[]>>;
    readonly value: readonly number[];
    /** By the logits and by each parameter: some entries of the flat gradient, and Σ of all magnitudes. */
    readonly gradients: readonly {
      readonly of: string;
      readonly at: readonly number[];
      readonly values: readonly number[];
      readonly magnitude: number;
    }[];
  }[];
}

const [vocabulary, rows] = [49_152, 2];
const url = new URL(`../../../fixtures/losses/modules-${vocabulary}.json`, import.meta.url);
const fixture = JSON.parse(await readFile(fileURLToPath(url), "utf8")) as LargeModules;

/** As `sines` of the generator. */
const sines = (count: number, salt: number): Float32Array =>
  Float32Array.from({ length: count }, (_, at) => Math.round(Math.sin(1.7 * at + salt) * 64) / 64);

describe("losses with modules on onnxruntime equal PyTorch in float64, V = 49,152", () => {
  const student = largeLogits(0.5, { rows, vocabulary });
  const teacher = largeLogits(0, { rows, vocabulary });
  const targets = Uint32Array.from(fixture.targets);
  for (const { name, options, shapes, value, gradients } of fixture.cases) {
    it(`${name} ${JSON.stringify(options)}`, async () => {
      const hidden = () => sines(rows * SIZES.teacher.width, 1);
      const known = { vocabulary, teacher, student, targets, hidden };
      const requirement = lossRequirement(name, options, 0, { ...SIZES, vocabulary });
      const parameters = Object.entries(shapes).map(([own, shape]) => {
        const count = shape.reduce((product, size) => product * size, 1);
        return [own, sines(count, own.length).map((x) => x / 4)] as const;
      });
      const result = await evaluateLoss({
        loss: name,
        options,
        studentLogits: student,
        vocabulary,
        targets,
        ...signalOfLogits(known, requirement),
        sizes: SIZES,
        parameters: Object.fromEntries(parameters),
        engine: "onnx",
      });
      // Sums of 49,152 float32 terms (large-vocabulary.test.ts).
      assertAllClose(result.perToken, value, { rtol: 1e-4, atol: 5e-5 }, "value");
      for (const { of, at, values, magnitude } of gradients) {
        const all = of === "logits" ? result.gradient : result.parameterGradients[of]!;
        // The gradient is that of the mean, the fixture's that of the sum.
        const found = at.map((place) => all[place]! * rows);
        assertAllClose(found, values, { rtol: 2e-3, atol: 2e-6 }, `gradient by ${of}`);
        const sum = all.reduce((total, x) => total + Math.abs(x), 0) * rows;
        assertAllClose([sum], [magnitude], { rtol: 1e-3, atol: 1e-5 }, `Σ|gradient by ${of}|`);
      }
    });
  }
});
