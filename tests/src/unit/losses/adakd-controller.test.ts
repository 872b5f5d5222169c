import { describe, it } from "node:test";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { assertAllClose } from "../../helpers/all-close.js";

describe("AdaKD's controller", () => {
  const losses = new LossSet(
    lossesSchema.parse([
      { name: "cross-entropy" },
      { name: "adakd", controlled: true, ratio: 0.5, tolerance: 0.1, rate: 0.2 },
    ]),
  );

  it("keeps r, the smoothed loss and its reference as parameters", () => {
    const [own] = losses.parameters;
    assertAllClose([...(own!.initial as readonly number[])], [0.5, 0, 0], { rtol: 0, atol: 0 });
  });

  it("lowers r when the smoothed loss falls by ε, raises it when it rises, within 0.1 … 1, behind the warm-up", () => {
    const seen = { positions: [], probes: [[], []] };
    const controller = Float32Array.of(0.5, 0, 0);
    const observe = (value: number, progress: number) =>
      losses.observe([9, value], { seen, progress, parameters: [controller] });
    const F32 = { rtol: 1e-6, atol: 1e-6 };
    observe(10, 0);
    // 0.99·10 + 0.01·20; the warm-up lasts 5 % of the run.
    observe(20, 0.01);
    assertAllClose(controller, [0.5, 10.1, 0], F32);
    // 0.99·10.1 + 0.01·10.1: the first reference.
    observe(10.1, 0.05);
    assertAllClose(controller, [0.5, 10.1, 10.1], F32);
    // Down to 9.999 + … − 100·0.01 = 8.999: below 0.9·10.1.
    observe(-100, 0.1);
    assertAllClose(controller, [0.4, 8.999, 8.999], F32);
    // Up by 1.9: above 1.1·8.999.
    observe(198.999, 0.2);
    assertAllClose(controller, [0.48, 10.899, 10.899], F32);
    // Within ε nothing moves.
    observe(20.899, 0.3);
    assertAllClose(controller, [0.48, 10.999, 10.899], F32);
    observe(Number.NaN, 0.4);
    assertAllClose(controller, [0.48, 10.999, 10.899], F32);
    controller[0] = 0.95;
    observe(1000, 0.5);
    assertAllClose([controller[0]], [1], F32);
  });
});
