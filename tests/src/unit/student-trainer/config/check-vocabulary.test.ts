import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { checkVocabulary } from "@tandem/student-trainer/config/check-vocabulary.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { SKD } from "../../../helpers/minimal-run.js";

const V = 18;

function check(loss: object, ...assignments: string[]): void {
  const { rollout } = loadRunConfig({
    assignments: [...SKD, "rollout.acceptance={rank: 2}", ...assignments],
  });
  checkVocabulary(rollout, new LossSet(lossesSchema.parse([loss])), V);
}

const KL = { name: "forward-kl", topK: 8 };

describe("a run over a vocabulary of 18", () => {
  for (const [what, loss, field] of [
    ["a list", { name: "forward-kl", topK: 19 }, "losses[0].topK"],
    ["both lists", { name: "ranking", k: 19 }, "losses[0].k"],
    ["a list cut from all logits", { name: "ranking", dense: true, k: 19 }, "losses[0].k"],
    ["a list beside a divergence", { name: "rlkd", dense: true, k: 32 }, "losses[0].k"],
    ["correlated ids", { name: "cmkd", dense: true, k: 19 }, "losses[0].k"],
    ["a rank of tokens", { name: "speckd", topK: 8, proposal: "token" }, "losses[0].rank"],
    ["a rank of proposals", { name: "speckd", topK: 8, rank: 19 }, "losses[0].rank"],
    ["classes of a network", { name: "dac-kl", topK: 8, features: 19 }, "losses[0].features"],
  ] as const) {
    it(`has no ids for ${what} of more: ${loss.name}`, () => {
      assert.throws(() => check(loss), {
        code: "INVALID_ARGUMENT",
        field,
        message: new RegExp(
          `ids exceeds the vocabulary of 18; set ${field.split(".")[1]} to at most 18`,
        ),
      });
    });
  }

  it("has them for as many, and does not look at what is not read", () => {
    check({ name: "ranking", dense: true, k: 18 });
    check({ name: "speckd", topK: 8, proposal: "token", rank: 18 });
    check({ name: "speckd", topK: 8, proposal: "token", acceptance: "ratio" });
    check(KL, "rollout.acceptance={rank: 18}");
    check(KL, "rollout.kind=on-policy", "rollout.acceptance={rank: 25}");
  });

  for (const [rule, field] of [
    ["{rank: 25}", "rollout.acceptance.rank"],
    ["{filtered: 400}", "rollout.acceptance.filtered"],
    ["{rank: {kind: linear, from: 1, to: 19}}", "rollout.acceptance.rank"],
  ] as const) {
    it(`refuses to accept ${rule}`, () => {
      assert.throws(() => check(KL, `rollout.acceptance=${rule}`), {
        code: "INVALID_ARGUMENT",
        field,
        message: /exceeds the vocabulary of 18 .* set it to at most 18/,
      });
    });
  }

  it("lets a sampler keep as many ids as it likes", () => {
    check(KL, "rollout.studentSampling.topK=400");
  });
});
