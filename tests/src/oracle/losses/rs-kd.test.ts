import { describe, it } from "node:test";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, seeded, softmax } from "./method-rows.js";

describe("rs-kd", () => {
  it("estimates value and gradient of the full cross-entropy without bias over 10⁴ positions", async () => {
    const [vocabulary, positions, draws] = [6, 10_000, 5];
    const u = [2, 1, 0.5, 0, -1, -3];
    const v = [-0.5, 1, 0, 0.7, -2, 1.5];
    const [p, q] = [softmax(u), softmax(v)];
    const random = seeded(77);
    const sample = (): number => {
      let left = random();
      return p.findIndex((mass) => (left -= mass) < 0);
    };
    const drawn = Array.from({ length: positions }, () => {
      const counts = new Map<number, number>();
      for (let draw = 0; draw < draws; draw++) {
        const id = sample();
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      return [...counts].sort(([a], [b]) => a - b).map(([id, count]) => ({ id, count }));
    });
    const repeat = (row: readonly number[]) =>
      Float32Array.from({ length: positions * vocabulary }, (_, at) => row[at % vocabulary]!);
    const { value, gradient } = await evaluateRows(
      { loss: "rs-kd", options: { draws } },
      { vocabulary, student: repeat(v), teacher: repeat(u), draws: drawn, engine: "onnx" },
    );
    const summed = Array.from({ length: vocabulary }, (_, id) =>
      gradient.reduce((sum, x, at) => (at % vocabulary === id ? sum + x : sum), 0),
    );
    // One position's gradient at id i is q_i − c_i/N, of variance p_i(1−p_i)/N ≤ 1/(4·5); the mean over 10⁴: σ ≤ 0.0023. 4σ.
    assertAllClose(
      summed,
      q.map((mass, id) => mass - p[id]!),
      { rtol: 0, atol: 0.009 },
    );
    // The spread of log q under p is below 1.5 nats: σ ≤ 1.5/√(5·10⁴) = 0.0067. 4σ.
    const crossEntropy = -p.reduce((sum, mass, id) => sum + mass * Math.log(q[id]!), 0);
    assertAllClose([value], [crossEntropy], { rtol: 0, atol: 0.027 });
  });
});
