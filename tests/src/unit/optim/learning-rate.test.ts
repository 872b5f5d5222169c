import { describe, it } from "node:test";
import { learningRateAt } from "@tandem/student-trainer/optim/learning-rate.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { assertAllClose } from "../../helpers/all-close.js";

function rates(config: object, steps: readonly number[], total: number): number[] {
  const parsed = optimizerSchema.parse({ learningRate: 8, ...config });
  return steps.map((step) => learningRateAt(parsed, step, total));
}

const CLOSE = { rtol: 1e-12, atol: 1e-15 };

describe("the learning rate", () => {
  it("rises linearly to its peak and never starts at 0", () => {
    const config = { schedule: "constant", warmupSteps: 4 };
    assertAllClose(rates(config, [0, 1, 2, 3, 4, 99], 100), [2, 4, 6, 8, 8, 8], CLOSE);
  });

  it("falls linearly behind the warm-up", () => {
    // 4 + 8·fraction: steps 2, 6 and 10 of 12 are 0, 0.4 and 0.8 of the way.
    const config = { schedule: "linear", warmupSteps: 2 };
    assertAllClose(rates(config, [1, 2, 6, 10], 12), [8, 8, 4.8, 1.6], CLOSE);
  });

  it("falls along half a cosine", () => {
    assertAllClose(rates({ schedule: "cosine" }, [0, 3, 6], 9), [8, 6, 2], CLOSE);
  });

  it("is constant until the decay starts: the demo's shape", () => {
    const config = { schedule: "linear", warmupSteps: 2, decayStart: 0.5, finalFraction: 0.05 };
    // From step 10 of 20 down to 0.05 of the peak: at step 15 half of 0.95 is gone.
    assertAllClose(rates(config, [0, 1, 9, 10, 15, 20], 20), [4, 8, 8, 8, 4.2, 0.4], CLOSE);
  });

  it("begins its decay behind the warm-up even if told to begin earlier", () => {
    assertAllClose(
      rates({ schedule: "linear", warmupSteps: 10, decayStart: 0.1 }, [9, 10], 20),
      [8, 8],
      CLOSE,
    );
  });

  it("stays at its peak when the run is all warm-up", () => {
    assertAllClose(rates({ schedule: "cosine", warmupSteps: 5 }, [4, 5], 5), [8, 8], CLOSE);
  });
});
