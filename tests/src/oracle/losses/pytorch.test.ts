import { describe, it } from "node:test";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { buildLossGraph, lossFeeds, readLossFixture } from "./loss-fixture.js";

// f32 against float64: logits up to 60 carry an absolute error of 4e-6 each, and values are sums of such differences.
const VALUE = { rtol: 2e-5, atol: 2e-5 };
const GRADIENT = { rtol: 1e-4, atol: 3e-6 };

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
}
