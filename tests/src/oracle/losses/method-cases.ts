import { describe, it } from "node:test";
import { assertAllClose, type Tolerance } from "../../helpers/all-close.js";
import { evaluateCase, readMethodFixture, type MethodCase } from "./method-fixture.js";

export interface MethodCasesOptions {
  readonly engine: "onnx" | "reference";
  readonly vocabulary: number;
  readonly tolerance: Tolerance;
}

/** Declares one test per case of a vocabulary: value and gradient equal PyTorch's. */
export async function declareMethodCases(options: MethodCasesOptions): Promise<void> {
  const { engine, vocabulary, tolerance } = options;
  const fixture = await readMethodFixture(vocabulary);
  describe(`losses on the ${engine} engine equal PyTorch in float64, V = ${vocabulary}`, () => {
    fixture.cases.forEach((own, index) => {
      it(`${own.name} ${JSON.stringify(own.options)}`, async () => {
        const { perToken, gradient, parameterGradients } = await evaluateCase(fixture, own, engine);
        assertAllClose(perToken, fixture.tensor(`${index}.value`), tolerance, "value");
        // The gradient is that of the mean, the fixture's that of the sum.
        const summed = gradient.map((x) => x * fixture.rows);
        const expected = Float64Array.from(fixture.tensor(`${index}.gradient`));
        assertAllClose(
          smooth(own, summed, vocabulary),
          smooth(own, expected, vocabulary),
          tolerance,
          "gradient",
        );
        for (const [name, own] of Object.entries(parameterGradients)) {
          const byParameter = fixture.tensor(`${index}.gradient.${name}`);
          const sum = own.map((x) => x * fixture.rows);
          assertAllClose(sum, byParameter, tolerance, `gradient of ${name}`);
        }
      });
    });
  });
}

/** Zeros where the loss has no derivative. */
function smooth({ kinks }: MethodCase, gradient: Float64Array, vocabulary: number): Float64Array {
  return gradient.map((value, at) => (kinks.includes(Math.floor(at / vocabulary)) ? 0 : value));
}
