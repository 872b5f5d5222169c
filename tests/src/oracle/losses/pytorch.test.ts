import { describe, it } from "node:test";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows } from "./method-rows.js";
import { buildLossGraph, lossFeeds, readLossFixture } from "./loss-fixture.js";

// f32 against float64: logits up to 60 carry an absolute error of 4e-6 each, and values are sums of such differences.
const VALUE = { rtol: 2e-5, atol: 2e-5 };
const GRADIENT = { rtol: 1e-4, atol: 3e-6 };

// The signal itself is f32: a normaliser of size 60 is off by up to 2e-6.
const REFERENCE = { rtol: 1e-6, atol: 4e-6 };

for (const vocabulary of [11, 257]) {
  const fixture = await readLossFixture(vocabulary);
  describe(`losses on onnxruntime equal PyTorch in float64, V = ${vocabulary}`, () => {
    fixture.cases.forEach((options, index) => {
      it(JSON.stringify(options), async () => {
        const graph = buildLossGraph([options], fixture.rows, vocabulary);
        const session = await createOrtSession(serializeGraph(graph), { threads: 1 });
        const results = await session.run(lossFeeds(fixture, index), ["perToken", "gradient"]);
        await session.close();
        const numbers = (name: string) => results[name]!.data as Float32Array;
        assertAllClose(numbers("perToken"), fixture.tensors.get(`${index}.value`)!, VALUE, "value");
        assertAllClose(
          numbers("gradient"),
          fixture.tensors.get(`${index}.gradient`)!,
          GRADIENT,
          "gradient",
        );
      });
    });
  });

  // The reference goes element by element: the small vocabulary is enough.
  if (vocabulary > 100) continue;
  describe(`losses in the float64 reference equal PyTorch, V = ${vocabulary}`, () => {
    fixture.cases.forEach(({ name, ...options }, index) => {
      it(JSON.stringify({ name, ...options }), async () => {
        const { student, teacher, targets, rows } = fixture;
        const choice = { loss: name, options };
        const { perToken, gradient } = await evaluateRows(choice, {
          vocabulary,
          student,
          teacher,
          targets,
        });
        const expected = (part: string) => fixture.tensors.get(`${index}.${part}`)!;
        assertAllClose(perToken, expected("value"), REFERENCE, "value");
        const mean = Float64Array.from(expected("gradient"), (value) => value / rows);
        assertAllClose(gradient, mean, REFERENCE, "gradient");
      });
    });
  });
}
