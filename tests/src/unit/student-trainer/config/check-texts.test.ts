import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { MINIMAL, SKD } from "../../../helpers/minimal-run.js";

const ON_POLICY = [...SKD, "rollout.kind=on-policy"];
const SAMPLED = [...ON_POLICY, "losses=[{name: sampled-reverse-kl}]"];
const LAGGED = "losses=[{name: sampled-reverse-kl, ratio: old}]";

const load = (assignments: readonly string[]) => loadRunConfig({ assignments });

describe("a loss that is right for some texts only", () => {
  for (const [what, assignments, field] of [
    [
      "a policy gradient without text of the student",
      [...MINIMAL, "teacher.address=x", "losses=[{name: sampled-reverse-kl}]"],
      "losses[0]",
    ],
    ["MiniLLM on text of rejections", [...SKD, "losses=[{name: minillm}]"], "losses[0]"],
    [
      "MiniLLM on another mixture",
      [
        ...SKD,
        "losses=[{name: minillm, mix: 0.2}]",
        "rollout.acceptance={mixture: 0.3}",
        "rollout.teacherSampling={temperature: 1, topP: 1}",
      ],
      "losses[0]",
    ],
    [
      "MiniLLM on tempered text",
      [...SKD, "losses=[{name: minillm, mix: 0.2}]", "rollout.acceptance={mixture: 0.2}"],
      "losses[0]",
    ],
    [
      "two losses that are right for different texts",
      [
        ...SKD,
        "losses=[{name: minillm, mix: 0.2}, {name: minillm, mix: 0}]",
        "rollout.acceptance={mixture: 0.2}",
        "rollout.studentSampling={temperature: 1}",
        "rollout.teacherSampling={temperature: 1, topP: 1}",
      ],
      "losses[1]",
    ],
    [
      "two losses of which one wants pairs",
      [
        ...SKD,
        "rollout.kind=on-policy",
        "losses=[{name: sampled-reverse-kl}, {name: dpkd, level: sequence}]",
      ],
      "losses[1]",
    ],
    [
      "pairs that are cut apart",
      [
        ...SKD,
        "rollout.kind=pairs",
        "rollout.rows=8",
        "training.minibatchSize=4",
        "losses=[{name: dpkd, level: sequence}]",
      ],
      "losses[0]",
    ],
    [
      "labels where the student writes everything",
      [...ON_POLICY, "losses=[{name: cross-entropy}]"],
      "losses[0]",
    ],
    [
      "labels where a coin always falls to the student",
      [...ON_POLICY, "rollout={kind: mixed, lambda: 1}", "losses=[{name: cross-entropy}]"],
      "losses[0]",
    ],
    [
      "labels of the student's text beside its policy gradient",
      [...ON_POLICY, "losses=[{name: sampled-reverse-kl}, {name: cross-entropy}]"],
      "losses[1]",
    ],
    [
      "a continuation to labels where the student writes everything",
      [...ON_POLICY, "losses=[{name: continuation-kd, psi: cifar}]"],
      "losses[0]",
    ],
    [
      "an online module that learns labels where the student writes everything",
      [...ON_POLICY, "losses=[{name: okd}]"],
      "losses[0]",
    ],
    [
      "a policy gradient on tempered text",
      [...SAMPLED, "rollout.studentSampling.temperature=0.5"],
      "losses[0]",
    ],
    [
      "a policy gradient on cut text, whatever the ratio",
      [...SAMPLED, "rollout.studentSampling.topP=0.5", LAGGED],
      "losses[0]",
    ],
    [
      "a policy gradient on text of rejections",
      [...SKD, "losses=[{name: sampled-reverse-kl}]"],
      "losses[0]",
    ],
    [
      "a policy gradient on a replay",
      [
        ...SAMPLED,
        LAGGED,
        "rollout.kind=adaptive",
        "data.evaluation=held.jsonl",
        "training.evaluateEvery=5",
      ],
      "losses[0]",
    ],
    [
      "text used several times for text of the current student",
      [...SAMPLED, "training.numIterations=3"],
      "losses[0]",
    ],
    [
      "text used in several steps for text of the current student",
      [...SAMPLED, "training.minibatchSize=16"],
      "losses[0]",
    ],
    [
      "text written ahead for text of the current student",
      [...SAMPLED, "training.staleness=1"],
      "losses[0]",
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => load(assignments), { code: "INVALID_ARGUMENT", field });
    });
  }

  for (const [what, assignments] of [
    ["labels in text that both write", [...SKD, "losses=[{name: cross-entropy}]"]],
    [
      "labels in text that the teacher writes",
      [...SKD, "rollout.kind=sequence", "losses=[{name: cross-entropy}]"],
    ],
    [
      "labels in a part of the text",
      [...SKD, "rollout={kind: mixed, lambda: 0.5}", "losses=[{name: cross-entropy}]"],
    ],
    [
      "losses that could take labels and do not",
      [...ON_POLICY, "losses=[{name: continuation-kd, psi: 0}, {name: okd, labels: 0}]"],
    ],
    ["text of the current student", SAMPLED],
    [
      "text of an older student with its law",
      [
        ...SAMPLED,
        LAGGED,
        "training={steps: 10, numIterations: 3, minibatchSize: 8, staleness: 1}",
      ],
    ],
    [
      "the student's tokens in text that a coin mixes",
      [...SAMPLED, "rollout={kind: skd, acceptance: {mixture: 0.2}}"],
    ],
    [
      "the student's texts beside whole ones of the teacher",
      [...SAMPLED, "rollout={kind: mixed, otherwise: sequence}"],
    ],
  ] as const) {
    it(`takes ${what}`, () => {
      load(assignments);
    });
  }

  for (const [what, assignments, message] of [
    [
      "text without labels",
      [...ON_POLICY, "losses=[{name: okd}]"],
      /losses\[0\] \(okd\) takes the tokens of the text for labels, rollout\.kind on-policy has none .*set its labels to 0, take supervised, mixed or skd, or .* data\.plainText/,
    ],
    [
      "text of an older student",
      [...SAMPLED, "training.numIterations=3"],
      /numIterations 3, .*set its ratio to old, or numIterations to 1/,
    ],
    [
      "text by another law",
      [...SAMPLED, "rollout.studentSampling.temperature=0.5"],
      /set rollout\.studentSampling to \{temperature: 1, topK: 0, topP: 1\}/,
    ],
    [
      "pairs that nobody writes",
      [...SKD, "losses=[{name: forward-kl}, {name: dpkd, level: sequence}]"],
      /losses\[1\] \(dpkd\) compares .* rollout\.kind skd writes no pairs; take pairs/,
    ],
  ] as const) {
    it(`says what to do about ${what}`, () => {
      assert.throws(() => load(assignments), { code: "INVALID_ARGUMENT", message });
    });
  }
});
