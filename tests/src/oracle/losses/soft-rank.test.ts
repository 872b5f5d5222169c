import { describe, it } from "node:test";
import { ReferenceOps } from "@tandem/student-trainer/engines/reference/reference-ops.js";
import { referenceTensor } from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import { softRank } from "@tandem/student-trainer/losses/soft-rank.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows } from "./method-rows.js";

const EXACT = { rtol: 1e-9, atol: 1e-9 };

function ranks(values: readonly number[], strength: number, valid = values.map(() => 1)) {
  const shape = [1, values.length];
  const rows = { x: referenceTensor(values, shape), valid: referenceTensor(valid, shape) };
  return softRank(new ReferenceOps(), rows, strength).data;
}

describe("softRank", () => {
  it("gives exact ranks where every gap is above the strength", () => {
    assertAllClose(ranks([5, -3, 9, 1], 1), [3, 1, 4, 2], EXACT);
  });

  it("gives value/strength plus a constant where every gap is below it", () => {
    // Mean rank 2.5, mean value 0.4/4 = 0.1.
    assertAllClose(ranks([0.3, -0.2, 0.1, 0.2], 0.5), [2.9, 1.9, 2.5, 2.7], EXACT);
  });

  it("pools only neighbours that violate", () => {
    // 10 is alone: rank 4. The others, gaps 0.4 and 0.2, share ranks 1 … 3 around their mean 2: value − mean(0.4, 0, 0.6).
    assertAllClose(ranks([0.4, 10, 0, 0.6], 1), [2 + 0.2 / 3, 4, 2 - 1 / 3, 2 + 0.8 / 3], EXACT);
  });

  it("ranks the valid columns among themselves", () => {
    assertAllClose(ranks([5, 7, -3, 9, 1], 1, [1, 0, 1, 1, 1]), [3, 0, 1, 4, 2], EXACT);
  });

  it("pools a gap that equals the strength, so that it has a gradient", async () => {
    const at = (strength: number) =>
      evaluateRows(
        { loss: "ranking", options: { k: 3, strength } },
        {
          vocabulary: 3,
          student: Float32Array.of(2, 0, 1),
          teacher: Float32Array.of(4, 9, 0),
        },
      );
    const [equal, above] = [await at(1), await at(0.99)];
    assertAllClose(above.gradient, [0, 0, 0], EXACT);
    // Ranks a = (1,−1,0)/√2 and b = (0,1,−1)/√2 about their means: ρ = −½, ∂ρ/∂x = (b − ρ·a)/√2 = (¼, ¼, −½).
    assertAllClose(equal.perToken, [1.5], EXACT);
    assertAllClose(equal.gradient, [-0.25, -0.25, 0.5], EXACT);
  });
});
