/** The cases of tests/peers/make_hidden_loss_fixtures.py: losses on hidden states, by PyTorch in float64. */
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { evaluateLoss, lossRequirement } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { readTensors } from "../../helpers/tiny-models.js";
import { randomLogits, SIZES } from "./method-rows.js";

interface HiddenCase {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly parameters: readonly string[];
}

const path = (suffix: string) =>
  fileURLToPath(new URL(`../../../fixtures/losses/hidden.${suffix}`, import.meta.url));
const tensors = await readTensors(path("safetensors"));
const cases = JSON.parse(await readFile(path("json"), "utf8")) as HiddenCase[];
const tensor = (name: string) => tensors.get(name)!;
const [rows, vocabulary] = [5, 3];

function evaluateCase(index: number, engine: "onnx" | "reference", states: typeof studentStates) {
  const { name, options, parameters } = cases[index]!;
  const { spec } = lossRequirement(name, options, 0, { ...SIZES, vocabulary });
  const hidden = new Map(spec.hiddenLayers.map((layer) => [layer, tensor(`teacher.${layer}`)]));
  return evaluateLoss({
    loss: name,
    options,
    studentLogits: randomLogits(1, rows * vocabulary, 1),
    vocabulary,
    targets: new Uint32Array(rows),
    signal: { from: 1, count: rows, topK: 0, tauCount: 0, hidden },
    sizes: SIZES,
    studentLayers: states,
    parameters: Object.fromEntries(parameters.map((own) => [own, tensor(`${index}.${own}`)])),
    engine,
  });
}

const studentStates: Readonly<Record<number, Float32Array | Float64Array>> = Object.fromEntries(
  Array.from({ length: SIZES.student.layers + 1 }, (_, layer) => [
    layer,
    tensor(`student.${layer}`),
  ]),
);

for (const engine of ["onnx", "reference"] as const) {
  // Fixtures are rounded to float32; the engine that trains computes in it.
  const tolerance = engine === "onnx" ? { rtol: 1e-4, atol: 1e-5 } : { rtol: 1e-5, atol: 1e-6 };
  describe(`losses on hidden states equal PyTorch on the ${engine} engine`, () => {
    cases.forEach(({ name, options, parameters }, index) => {
      it(`${name} ${JSON.stringify(options)}`, async () => {
        const result = await evaluateCase(index, engine, studentStates);
        assertAllClose(result.perToken, tensor(`${index}.value`), tolerance, "value");
        const expect = (actual: Float64Array, of: string) => {
          // The gradient is that of the mean, the fixture's that of the sum.
          const summed = actual.map((x) => x * rows);
          assertAllClose(summed, tensor(`${index}.gradient.${of}`), tolerance, `gradient of ${of}`);
        };
        for (const [layer, gradient] of Object.entries(result.layerGradients)) {
          expect(gradient, `student.${layer}`);
        }
        for (const own of parameters) expect(result.parameterGradients[own]!, own);
      });
    });
  });
}

describe("a loss on hidden states", () => {
  cases.forEach(({ name, options }, index) => {
    it(`has the gradient of its value: ${name} ${JSON.stringify(options)}`, async () => {
      const step = 1e-5;
      const { layerGradients } = await evaluateCase(index, "reference", studentStates);
      const direction = randomLogits(77, rows * SIZES.student.width, 1);
      for (const [layer, gradient] of Object.entries(layerGradients)) {
        const moved = async (by: number) => {
          const state = Float64Array.from(
            studentStates[Number(layer)]!,
            (x, at) => x + by * direction[at]!,
          );
          const { value } = await evaluateCase(index, "reference", {
            ...studentStates,
            [layer]: state,
          });
          return value;
        };
        const slope = ((await moved(step)) - (await moved(-step))) / (2 * step);
        const along = gradient.reduce((sum, x, at) => sum + x * direction[at]!, 0);
        assertAllClose([along], [slope], { rtol: 1e-6, atol: 1e-8 }, `layer ${layer}`);
      }
    });
  });
});
