/** The cases of tests/peers/make_module_loss_fixtures.py: losses that own a module or relate positions, by PyTorch in float64. */
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { evaluateLoss, lossRequirement } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { readTensors } from "../../helpers/tiny-models.js";
import { SIZES } from "./method-rows.js";

interface ModuleCase {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly parameters: readonly string[];
}

const rows = 6;

for (const vocabulary of [11, 257]) {
  const path = (suffix: string) =>
    fileURLToPath(
      new URL(`../../../fixtures/losses/modules-${vocabulary}.${suffix}`, import.meta.url),
    );
  const tensors = await readTensors(path("safetensors"));
  const cases = JSON.parse(await readFile(path("json"), "utf8")) as ModuleCase[];
  const tensor = (name: string) => tensors.get(name)!;
  const [student, teacher] = [tensor("student"), tensor("teacher")];
  const targets = Uint32Array.from(tensor("targets"));

  for (const engine of ["onnx", "reference"] as const) {
    // The signal and the fixtures are float32; the engine that trains computes in it.
    const tolerance = engine === "onnx" ? { rtol: 2e-4, atol: 2e-5 } : { rtol: 2e-5, atol: 2e-6 };
    describe(`losses with modules equal PyTorch on the ${engine} engine, V = ${vocabulary}`, () => {
      cases.forEach(({ name, options, parameters }, index) => {
        it(`${name} ${JSON.stringify(options)}`, async () => {
          const known = { vocabulary, teacher, student, targets, hidden: () => tensor("hidden") };
          const requirement = lossRequirement(name, options, 0, { ...SIZES, vocabulary });
          const result = await evaluateLoss({
            loss: name,
            options,
            studentLogits: student,
            vocabulary,
            targets,
            ...signalOfLogits(known, requirement),
            sizes: SIZES,
            parameters: Object.fromEntries(
              parameters.map((own) => [own, tensor(`${index}.${own}`)]),
            ),
            engine,
          });
          assertAllClose(result.perToken, tensor(`${index}.value`), tolerance, "value");
          const expect = (actual: Float64Array, of: string) => {
            // The gradient is that of the mean, the fixture's that of the sum.
            const summed = actual.map((x) => x * rows);
            const expected = tensor(`${index}.gradient.${of}`);
            assertAllClose(summed, expected, tolerance, `gradient by ${of}`);
          };
          expect(result.gradient, "logits");
          for (const own of parameters) expect(result.parameterGradients[own]!, own);
        });
      });
    });
  }
}
