import { describe, it } from "node:test";
import { ReferenceOps } from "@tandem/student-trainer/engines/reference/reference-ops.js";
import { referenceTensor } from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import { EXAMPLE_SIZES } from "@tandem/student-trainer/losses/model-sizes.js";
import { configureLoss } from "@tandem/student-trainer/losses/loss-registry.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { logSumExp } from "../../helpers/signal-of-logits.js";

const u = [3, 2.5, 1, 0.5, -1, -4];
const v = [0, 1, -1, 2, 0.5, 0.25];

/** The loss of one position whose lists are longer than the loss asked for, as when another loss of the run wants more. */
function valueWith(name: string, options: object, listed: number): number {
  const ops = new ReferenceOps();
  const row = (values: readonly number[]) => referenceTensor(values, [1, values.length]);
  const ids = (values: readonly number[]) => referenceTensor(values, [1, values.length], "i64");
  const one = (value: number) => referenceTensor([value], [1]);
  const order = u.map((_, id) => id);
  const own = [3, 1, 4, 5, 0, 2].slice(0, listed);
  const lse = one(logSumExp(u));
  const teacher = {
    tempered: {},
    lse,
    top: {
      ids: ids(order.slice(0, listed)),
      logits: row(u.slice(0, listed)),
      lse,
      logTail: one(logSumExp(u.slice(listed)) - logSumExp(u)),
    },
    at: { ids: ids(own), logits: row(own.map((id) => u[id]!)) },
  };
  const value = configureLoss(name, options, "test").perToken(ops, {
    logits: row(v),
    targets: referenceTensor([1], [1], "i64"),
    teacher,
    teachers: [teacher],
    studentLayers: new Map(),
    sizes: EXAMPLE_SIZES,
    scalars: {},
    columns: {},
    parameters: {},
  });
  return value.data[0]!;
}

describe("a loss whose lists are longer than it asked for", () => {
  const cases = [
    ["truncated-forward-kl", { topK: 2 }],
    ["truncated-forward-kl", { topK: 2, normalise: "both" }],
    ["ranking", { k: 2 }],
    ["dpkd", {}],
  ] as const;
  for (const [name, options] of cases) {
    it(`${name} ${JSON.stringify(options)} uses its own part`, () => {
      const exact = valueWith(name, options, 2);
      assertAllClose([valueWith(name, options, 5)], [exact], { rtol: 1e-12, atol: 1e-12 });
    });
  }
});
