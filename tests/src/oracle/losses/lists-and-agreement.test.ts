/** Two tables over every registered loss: what a list of fewer than V ids does to it, and what it is where teacher and student agree. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listLosses } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, randomLogits, type MethodChoice } from "./method-rows.js";

const [rows, vocabulary] = [6, 9];
const student = randomLogits(5, rows * vocabulary, 1.5);
const teacher = randomLogits(6, rows * vocabulary, 2);
const names = listLosses().map(({ name }) => name);

interface ListProperty {
  /** The loss with a list of `size` ids. */
  readonly list: (size: number) => MethodChoice;
  /** What it is with a list of all of them. */
  readonly dense: MethodChoice;
  /** Why a shorter list gives no bound; left out: it gives a lower one, the smaller the shorter. */
  readonly unbounded?: string;
}

/** By `topK`, dense by `dense`. */
function listed(loss: string, options: object = {}, unbounded?: string): ListProperty {
  return {
    list: (topK) => ({ loss, options: { ...options, topK } }),
    dense: { loss, options: { ...options, dense: true } },
    ...(unbounded !== undefined && { unbounded }),
  };
}

const forwardKl: MethodChoice = { loss: "forward-kl", options: { dense: true } };
const HEAD_AND_TAIL = "its weights are computed from the list: an approximation";
const SUPPORT = "the list is what the loss is defined on";

const LISTS: Readonly<Record<string, ListProperty>> = {
  "forward-kl": listed("forward-kl"),
  "reverse-kl": listed("reverse-kl"),
  "generalized-jsd": listed("generalized-jsd", { beta: 0.3 }),
  "skew-forward-kl": listed("skew-forward-kl"),
  "skew-reverse-kl": listed("skew-reverse-kl"),
  "distillm-2": listed("distillm-2"),
  "total-variation": listed("total-variation"),
  akl: listed("akl", {}, HEAD_AND_TAIL),
  dist: listed("dist", {}, HEAD_AND_TAIL),
  dtkd: {
    // Temperatures come from exact moments, whatever the list.
    list: (topK) => ({ loss: "dtkd", options: { dense: false, topK } }),
    dense: { loss: "dtkd" },
  },
  atkd: listed("atkd"),
  ranking: {
    list: (k) => ({ loss: "ranking", options: { k } }),
    dense: { loss: "ranking", options: { k: vocabulary, dense: true } },
    unbounded: SUPPORT,
  },
  rlkd: listed("rlkd", { k: 3 }),
  "continuation-kd": {
    list: (k) => ({
      loss: "continuation-kd",
      options: { phi: 0.5, psi: 0.25, support: "top-k-approximation", k },
    }),
    dense: { loss: "continuation-kd", options: { phi: 0.5, psi: 0.25 } },
    unbounded: "a mean over fewer squares: an approximation",
  },
  speckd: listed("speckd", { proposal: "token", acceptance: "ratio" }),
  uld: listed("uld"),
  "dac-kl": {
    // With bounds at both ends of the mass it keeps all classes.
    list: (topK) => ({ loss: "dac-kl", options: { topK, features: 1, floor: 1 } }),
    dense: forwardKl,
    unbounded: "quantiles of the list's mass: an approximation",
  },
  swing: {
    list: (topK) => ({ loss: "swing", options: { topK, temperature: 1, noise: 0 } }),
    dense: forwardKl,
  },
  okd: listed("okd"),
  gold: {
    list: (topK) => ({ loss: "gold", options: { topK, beta: 0.3 } }),
    // One vocabulary: every token is matched, in runs of one.
    dense: { loss: "generalized-jsd", options: { dense: true, beta: 0.3 } },
  },
  "teacher-mixture": listed("teacher-mixture"),
  "ces-kd": listed("ces-kd"),
  cmkd: {
    list: (k) => ({ loss: "cmkd", options: { k } }),
    dense: { loss: "cmkd", options: { k: vocabulary, dense: true } },
    unbounded: SUPPORT,
  },
  minillm: listed("minillm"),
  "truncated-forward-kl": {
    list: (topK) => ({ loss: "truncated-forward-kl", options: { topK } }),
    dense: forwardKl,
    unbounded: "what is left out may be negative: biased",
  },
};

/** Sampled: unbiased within their confidence interval in rs-kd.test.ts and sampled-reverse-kl.test.ts. */
const ESTIMATORS = ["rs-kd", "sampled-reverse-kl"];

describe("every loss that can do with less than all logits", () => {
  it("has its property in the table", () => {
    const sparse = listLosses()
      .filter(({ requires: { signal } }) => signal?.topK || signal?.draws || signal?.token)
      .map(({ name }) => name);
    // Its list is optional, or its ids are both sides' best alone.
    const others = ["dtkd", "continuation-kd"];
    assert.deepEqual(
      [...Object.keys(LISTS), ...ESTIMATORS, "dpkd"].sort(),
      [...sparse, ...others].sort(),
    );
  });

  for (const [loss, { list, dense, unbounded }] of Object.entries(LISTS)) {
    const at = { vocabulary, student, teacher };
    it(`${loss} with a list of all ids is ${dense.loss} with all logits`, async () => {
      const [own, whole] = [
        await evaluateRows(list(vocabulary), at),
        await evaluateRows(dense, at),
      ];
      assertAllClose(own.perToken, whole.perToken, { rtol: 2e-6, atol: 2e-6 });
      assertAllClose(own.gradient, whole.gradient, { rtol: 2e-6, atol: 2e-6 });
    });
    if (unbounded !== undefined) continue;
    it(`${loss} with a shorter list is a lower bound`, async () => {
      let above = (await evaluateRows(dense, at)).perToken;
      for (const size of [8, 5, 3, 1]) {
        const { perToken } = await evaluateRows(list(size), at);
        perToken.forEach((x, row) =>
          // Signals travel as float32.
          assert.ok(
            x <= above[row]! * (1 + 2e-6) + 2e-6,
            `${size} ids, row ${row}: ${x} > ${above[row]}`,
          ),
        );
        above = perToken;
      }
    });
  }

  it("dpkd asks for both sides' best ids, which all logits hold too", async () => {
    const at = { vocabulary, student, teacher };
    const own = await evaluateRows({ loss: "dpkd" }, at);
    const whole = await evaluateRows({ loss: "dpkd", options: { dense: true } }, at);
    assertAllClose(own.perToken, whole.perToken, { rtol: 1e-6, atol: 1e-6 });
    assertAllClose(own.gradient, whole.gradient, { rtol: 1e-6, atol: 1e-6 });
  });

  for (const normalise of ["none", "teacher"]) {
    it(`truncated-forward-kl (${normalise}) is at rest at the biased law q = p/a on its list`, async () => {
      const topK = 3;
      const biased = teacher.slice();
      for (let row = 0; row < rows; row++) {
        const own = teacher.subarray(row * vocabulary, (row + 1) * vocabulary);
        const least = own.toSorted()[vocabulary - topK]!;
        // Nothing outside the list.
        own.forEach((x, id) => (biased[row * vocabulary + id] = x >= least ? x : -80));
      }
      const { gradient } = await evaluateRows(
        { loss: "truncated-forward-kl", options: { topK, normalise } },
        { vocabulary, student: biased, teacher },
      );
      assertAllClose(gradient, new Float64Array(gradient.length), { rtol: 0, atol: 1e-7 });
    });
  }
});

/** Options with which a loss is 0 where both sides agree. */
const ZERO: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "forward-kl": { topK: 3 },
  "reverse-kl": { topK: 3 },
  "generalized-jsd": { topK: 3 },
  "skew-forward-kl": { topK: 3 },
  "skew-reverse-kl": { topK: 3 },
  "distillm-2": { topK: 3 },
  "total-variation": { topK: 3 },
  akl: { topK: 3 },
  adakd: {},
  dist: { topK: 3 },
  dtkd: {},
  ctkd: {},
  itkd: {},
  atkd: { topK: 3 },
  ranking: { k: 3 },
  rlkd: { k: 3, topK: 4 },
  "continuation-kd": { phi: 1, psi: 0 },
  speckd: { topK: 3, rank: 3 },
  uld: { topK: 3 },
  "dac-kl": { topK: 4, features: 2 },
  "span-products": { length: 3 },
  swing: { topK: 4, temperature: 1, noise: 0 },
  okd: { topK: 4, labels: 0 },
  gold: { topK: 4 },
  "teacher-mixture": { topK: 3 },
  "ces-kd": { topK: 3 },
  cmkd: { k: 3 },
  "sampled-reverse-kl": {},
  "truncated-forward-kl": { topK: 3 },
};

/** What the others are there, and where that is tested. */
const OTHERS: Readonly<Record<string, string>> = {
  "cross-entropy": "the entropy or more: knows no teacher",
  "rs-kd": "the entropy of the samples: rs-kd.test.ts",
  dpkd: "log 2: minibatch-methods.test.ts",
  minillm: "a whitened advantage: policy-gradient.test.ts",
  "hidden-states": "compares states of two widths: hidden-losses.test.ts",
  "hidden-relations": "compares states of two widths: hidden-losses.test.ts",
  "attention-relations": "compares projections of two widths: attention-relations.test.ts",
  "kd-nas": "compares states of two widths: hidden-losses.test.ts",
};

describe("every loss where teacher and student agree", () => {
  it("has its value in the table", () => {
    assert.deepEqual([...Object.keys(ZERO), ...Object.keys(OTHERS)].sort(), [...names].sort());
  });

  for (const [loss, options] of Object.entries(ZERO)) {
    it(`${loss} is 0`, async () => {
      const at = { vocabulary, student, teacher: student };
      const { perToken, gradient } = await evaluateRows({ loss, options }, at);
      assertAllClose(perToken, new Float64Array(rows), { rtol: 0, atol: 2e-6 });
      // |p − q| has no derivative there; what is truncated rests elsewhere.
      if (["total-variation", "uld", "truncated-forward-kl"].includes(loss)) return;
      assertAllClose(gradient, new Float64Array(gradient.length), { rtol: 0, atol: 2e-6 });
    });
  }
});

describe("the ends of a mixture", () => {
  const at = { vocabulary, student, teacher };
  const plain = (loss: string) => ({ loss, options: { topK: 4 } });
  for (const [choice, end] of [
    [{ loss: "generalized-jsd", options: { topK: 4, beta: 0 } }, plain("forward-kl")],
    [{ loss: "generalized-jsd", options: { topK: 4, beta: 1 } }, plain("reverse-kl")],
    [{ loss: "skew-forward-kl", options: { topK: 4, alpha: 0 } }, plain("forward-kl")],
    [{ loss: "skew-reverse-kl", options: { topK: 4, alpha: 0 } }, plain("reverse-kl")],
  ] as const) {
    it(`${choice.loss} ${JSON.stringify(choice.options)} is ${end.loss}`, async () => {
      const [own, expected] = [await evaluateRows(choice, at), await evaluateRows(end, at)];
      assertAllClose(own.perToken, expected.perToken, { rtol: 1e-6, atol: 1e-7 });
      assertAllClose(own.gradient, expected.gradient, { rtol: 1e-6, atol: 1e-7 });
    });
  }

  it("a loss that relates positions is 0 without a gradient for a single one", async () => {
    const one = {
      vocabulary,
      student: student.slice(0, vocabulary),
      teacher: teacher.slice(0, vocabulary),
    };
    for (const loss of ["hidden-relations", "attention-relations", "span-products"]) {
      const { value, gradient, layerGradients } = await evaluateRows({ loss }, one);
      const slopes = [...gradient, ...Object.values(layerGradients).flatMap((own) => [...own])];
      assert.equal(value, 0);
      assert.ok(slopes.every((x) => x === 0));
    }
  });
});
