import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { assertAllClose } from "../../helpers/all-close.js";

/** Σ of x over the longest prefix, in falling order of p, of mass ≤ `mass`; always one id. */
function headOf(p: readonly number[], x: readonly number[], mass: number): number {
  const order = [...p.keys()].sort((a, b) => p[b]! - p[a]! || a - b);
  let [sum, before] = [x[order[0]!]!, p[order[0]!]!];
  for (const id of order.slice(1)) {
    before += p[id]!;
    if (before > mass) break;
    sum += x[id]!;
  }
  return sum;
}

describe("headSum on onnxruntime", () => {
  const size = 300;
  const x = Array.from({ length: size }, (_, id) => Math.sin(id));
  const normalised = (powers: readonly number[]) => {
    const total = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => power / total);
  };
  const rows = {
    certain: normalised(Array.from({ length: size }, (_, id) => (id === 17 ? 1e6 : 1e-6))),
    flat: normalised(Array.from({ length: size }, (_, id) => 1 + 1e-3 * Math.cos(7 * id))),
    peaked: normalised(Array.from({ length: size }, (_, id) => Math.exp(6 * Math.sin(11 * id)))),
    impossible: normalised(Array.from({ length: size }, (_, id) => (id % 3 === 0 ? 1 + id : 0))),
  };
  const p = Object.values(rows);

  for (const mass of [0, 0.3, 0.5, 0.95]) {
    it(`sums over the head of ${Object.keys(rows).join(", ")} laws, mass ${mass}`, async () => {
      const g = new GraphBuilder();
      const shape = [p.length, size];
      g.output("y", g.headSum(g.input("p", "f32", shape), g.input("x", "f32", shape), mass));
      const session = await createOrtSession(serializeGraph(g.build()), { threads: 1 });
      const feeds = {
        p: f32Tensor(Float32Array.from(p.flat()), shape),
        x: f32Tensor(Float32Array.from(p.flatMap(() => x)), shape),
      };
      const { y } = await session.run(feeds, ["y"]);
      await session.close();
      const expected = p.map((own) => headOf(own, x, mass));
      assertAllClose(y!.data as Float32Array, expected, { rtol: 1e-5, atol: 1e-5 });
    });
  }
});
