import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { courseDigest, loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { scheduleAt } from "@tandem/student-trainer/losses/schedule.js";
import {
  toAcceptanceRule,
  toSamplingParams,
} from "@tandem/student-trainer/rollout/rollout-config.js";
import { MINIMAL, SKD } from "../../../helpers/minimal-run.js";

const load = (...assignments: string[]) => loadRunConfig({ assignments });

describe("loadRunConfig", () => {
  it("fills in the paper's rules where nothing is said", () => {
    const { rollout } = load(...SKD);
    assert.deepEqual(toAcceptanceRule(rollout.acceptance, 0), { kind: "rank", k: 25 });
    assert.deepEqual(toSamplingParams(rollout.teacherSampling, 0), {
      temperature: 0.2,
      topK: 0,
      topP: 0.5,
    });
  });

  it("puts the environment over defaults and --set over the environment", () => {
    const env = { TANDEM_ROLLOUT_ROWS: "5", TANDEM_ROLLOUT_CONCURRENCY: "6" };
    const { rollout } = loadRunConfig({ assignments: [...MINIMAL, "rollout.rows=7"], env });
    assert.equal(rollout.rows, 7);
    assert.equal(rollout.concurrency, 6);
  });

  it("refuses unknown keys with the nearest known one", () => {
    assert.throws(() => load(...MINIMAL, "rollout.blockLenght=3"), {
      code: "INVALID_ARGUMENT",
      message: /rollout\.blockLenght.*blockLength/,
    });
  });

  for (const [what, assignments, field] of [
    ["skd without a teacher", [...SKD, "teacher.address=null"], "teacher.address"],
    [
      "a divergence without a teacher",
      [...MINIMAL, "losses=[{name: forward-kl}]"],
      "teacher.address",
    ],
    [
      "samples that do not fill a batch",
      [...SKD, "rollout.rows=8", "rollout.samplesPerPrompt=3"],
      "rollout.rows",
    ],
    [
      "two samples of one given answer",
      [...MINIMAL, "rollout.rows=8", "rollout.samplesPerPrompt=2"],
      "rollout.samplesPerPrompt",
    ],
    [
      "losses that all weigh nothing",
      [...MINIMAL, "losses=[{name: cross-entropy, weight: 0}]"],
      "losses",
    ],
    [
      "losses that weigh nothing all the way",
      [...MINIMAL, "losses=[{name: cross-entropy, weight: {kind: linear, from: 0, to: 0}}]"],
      "losses",
    ],
    ["an extractor without a group", [...MINIMAL, "evaluation.extract=####"], "evaluation.extract"],
    [
      "an extractor that is no pattern",
      [...MINIMAL, "evaluation.extract=(("],
      "evaluation.extract",
    ],
    [
      "a loss whose teacher is not configured",
      [...SKD, "losses=[{name: forward-kl, teacher: big}]"],
      "losses[0].teacher",
    ],
    ["a choice of one teacher", [...SKD, "losses=[{name: ces-kd}]"], "losses[0].teachers"],
    [
      "a mixture of one teacher",
      [
        ...SKD,
        "teachers.big.address=x",
        "losses=[{name: forward-kl}, {name: teacher-mixture, teachers: [big]}]",
      ],
      "losses[1].teachers",
    ],
    ["a writer that is not configured", [...SKD, "rollout.teacher=big"], "rollout.teacher"],
    [
      "a judge that is not configured",
      [...SKD, "evaluation.teacherRows=1", "evaluation.teacher=big"],
      "evaluation.teacher",
    ],
    [
      "a named teacher without an address",
      [...SKD, "teachers.big={encoding: plain}", "rollout.teacher=big"],
      "teachers.big.address",
    ],
    [
      "a loss without a name where there are only named teachers",
      [...SKD, "teacher.address=null", "teachers.big={address: x}", "rollout.teacher=big"],
      "teacher.address",
    ],
    [
      "a system message for a teacher that sees no chat",
      [...SKD, "data.teacherSystem=wise"],
      "data.teacherSystem",
    ],
    [
      "two losses that want samples of one teacher at different temperatures",
      [...SKD, "losses=[{name: rs-kd, drawTemperature: 2}, {name: rs-kd}]"],
      "losses.drawTemperature",
    ],
    [
      "an adaptive share without held-out answers",
      [...SKD, "rollout.kind=adaptive", "training.evaluateEvery=5"],
      "data.evaluation",
    ],
    [
      "an adaptive share without evaluations",
      [...SKD, "rollout.kind=adaptive", "data.evaluation=held.jsonl"],
      "training.evaluateEvery",
    ],
    [
      "plain text with a teacher's share and no teacher",
      [...MINIMAL, "data.plainText={train: a.jsonl, distillation: {share: 0.5}}"],
      "teacher.address",
    ],
    [
      "plain text with a share of a teacher that is not configured",
      [...SKD, "data.plainText={train: a.jsonl, distillation: {share: 0.5, teacher: big}}"],
      "data.plainText.distillation.teacher",
    ],
    [
      "plain text with a share of a teacher with another tokenizer",
      [
        ...MINIMAL,
        "losses=[{name: gold}]",
        "teacher={address: x, tokenizer: there}",
        "data.plainText={train: a.jsonl, distillation: {share: 0.5}}",
      ],
      "data.plainText.distillation.share",
    ],
    ["half a pair", [...SKD, "rollout.kind=pairs", "rollout.rows=7"], "rollout.rows"],
    ["chat around chats", [...MINIMAL, "data.messages=messages", "data.chat=true"], "data.chat"],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => load(...assignments), { code: "INVALID_ARGUMENT", field });
    });
  }

  it("takes a mixture of two teachers", () => {
    load(
      ...SKD,
      "teachers={small: {address: x}, large: {address: y}}",
      "losses=[{name: teacher-mixture, teachers: [small, large]}]",
    );
  });

  it("moves rank, temperature and lambda with the run", () => {
    const { rollout } = load(
      ...SKD,
      "rollout.acceptance={rank: {kind: linear, from: 1, to: 9}}",
      "rollout.studentSampling.temperature={kind: steps, values: [1, 0.5]}",
      "rollout.lambda={kind: linear, from: 0, to: 1}",
    );
    assert.deepEqual(toAcceptanceRule(rollout.acceptance, 0.5), { kind: "rank", k: 5 });
    assert.equal(toSamplingParams(rollout.studentSampling, 0.75).temperature, 0.5);
    assert.equal(scheduleAt(rollout.lambda, 0.25), 0.25);
  });

  for (const assignment of [
    "rollout.acceptance={rank: {kind: linear, from: 4, to: 0}}",
    "rollout.acceptance={topP: 1.5}",
    "rollout.acceptance={rank: 2.5}",
    "rollout.acceptance={filtered: {kind: steps, values: [1, 1.5]}}",
    "rollout.lambda={kind: linear, from: 0, to: 1.1}",
    "rollout.teacherSampling.temperature={kind: linear, from: 1, to: -1}",
  ]) {
    it(`refuses a schedule that leaves its bounds or whole numbers: ${assignment}`, () => {
      assert.throws(() => load(...SKD, assignment), {
        code: "INVALID_ARGUMENT",
        message: /rollout/,
      });
    });
  }

  for (const [assignment, message] of [
    ["losses=[{name: forward-kl, weight: .nan}]", /losses\.0\.weight is NaN: give a finite number/],
    [
      "losses=[{name: forward-kl, weight: .inf}]",
      /losses\.0\.weight is Infinity: give a finite number/,
    ],
    [
      "losses=[{name: forward-kl, weight: -1}]",
      /losses\.0\.weight: must be at least 0 all the way/,
    ],
    [
      "losses=[{name: forward-kl, weight: {kind: linear, from: 1, to: -1}}]",
      /losses\.0\.weight: must be at least 0 all the way/,
    ],
    [
      "data.plainText={train: a.jsonl, weight: -0.5}",
      /data\.plainText\.weight: must be at least 0 all the way/,
    ],
    ["losses=[{name: forward-kl, tpoK: 3}]", /tpoK"; its options are .*topK.*weight/],
    ["losses=[{name: forward-kl, teacher: big}]", /losses\[0\]\.teacher.*"big".*teachers/s],
    ["losses=[{name: kl}]", /no loss "kl"; the names are .*forward-kl/],
    ["losses=[{name: forward-kl, topK: 0}]", /losses\[0\] \(forward-kl\).*topK/s],
    [
      "rollout.acceptance={rnak: 3}",
      /rollout\.acceptance is \{"rnak":3\}: give one rule .*\{rank: K\}/,
    ],
  ] as const) {
    it(`says what is allowed instead of ${assignment}`, () => {
      assert.throws(() => load(...SKD, assignment), { code: "INVALID_ARGUMENT", message });
    });
  }

  it("knows two acceptance rules at once for a mistake", () => {
    assert.throws(() => load(...SKD, "rollout.acceptance={rank: 2, topP: 0.5}"), {
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("courseDigest", () => {
  it("is the same whatever only changes pace, place and looking", () => {
    const same = [
      "teacher.address=gpu:50051",
      "training.checkpointEvery=5",
      "rollout.concurrency=3",
      "rollout.blockLength=2",
      "rollout.draftAhead=0",
      "output.dir=elsewhere",
    ];
    assert.equal(courseDigest(load(...SKD, ...same)), courseDigest(load(...SKD)));
  });

  for (const change of [
    "training.seed=2",
    "rollout.rows=4",
    "losses=[{name: reverse-kl}]",
    "optimizer.learningRate=1",
    "teacher.encoding=plain",
    "teachers.big={encoding: plain}",
    "rollout.acceptance={rank: 2}",
  ]) {
    it(`changes with ${change}`, () => {
      assert.notEqual(courseDigest(load(...SKD, change)), courseDigest(load(...SKD)));
    });
  }
});
