import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { ErrorCode } from "@tandem/shared/errors/error-code.js";
import type { Draft__Output } from "@tandem/proto/gen/tandem/v1/Draft.js";
import type { Open__Output } from "@tandem/proto/gen/tandem/v1/Open.js";
import type { ScoreItem__Output } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { SignalSpec__Output } from "@tandem/proto/gen/tandem/v1/SignalSpec.js";
import { admitGeneration, admitPrompt } from "@tandem/teacher-server/admission/admit-generate.js";
import { admitDraft, admitOpen } from "@tandem/teacher-server/admission/admit-interleave.js";
import { admitScoreItem } from "@tandem/teacher-server/admission/admit-score.js";
import { admitSignal } from "@tandem/teacher-server/admission/admit-signal.js";
import { u32 } from "../../../helpers/teacher-stream.js";
import { draft, f32, generation, item, limits, none, open, spec } from "./raw-items.js";

const score = (change: Partial<ScoreItem__Output>) => () =>
  admitScoreItem({ ...item, ...change }, limits);
const signal = (change: Partial<SignalSpec__Output>) => score({ signal: { ...spec, ...change } });
const opening = (change: Partial<Open__Output>) => () => admitOpen({ ...open, ...change }, limits);
const drafting =
  (change: Partial<Draft__Output>, of: Partial<SignalSpec__Output> = {}) =>
  () =>
    admitDraft(
      { ...draft, ...change },
      admitSignal({ ...spec, ...of }, "opens.signal", limits),
      limits,
    );

type Refusal = readonly [string, () => unknown, ErrorCode, string, number | undefined];

const refusals: readonly Refusal[] = [
  [
    "a token id outside the vocabulary",
    score({ tokens: u32([1, 100]) }),
    "INVALID_ARGUMENT",
    "items.tokens",
    100,
  ],
  [
    "bytes that are no whole ids",
    score({ tokens: Buffer.alloc(5) }),
    "DATA_LOSS",
    "items.tokens",
    undefined,
  ],
  ["no tokens", score({ tokens: none }), "INVALID_ARGUMENT", "items.tokens", undefined],
  [
    "more tokens than the context",
    score({ tokens: u32(Array(21).fill(1)) }),
    "OUT_OF_RANGE",
    "items.tokens",
    20,
  ],
  [
    "a cache larger than the pool",
    score({ tokens: u32(Array(19).fill(1)) }),
    "OUT_OF_RANGE",
    "items.tokens",
    18,
  ],
  ["from 0", score({ from: 0 }), "INVALID_ARGUMENT", "items.from", 3],
  ["from behind the end", score({ from: 4 }), "INVALID_ARGUMENT", "items.from", 3],
  ["no row at all", score({ from: 3 }), "INVALID_ARGUMENT", "items.from", undefined],
  [
    "a top list above the limit",
    signal({ topK: 51 }),
    "INVALID_ARGUMENT",
    "items.signal.top_k",
    50,
  ],
  ...[-0.1, 1.5, NaN].map((topPMass): Refusal => [
    `a mass of ${topPMass}`,
    signal({ topK: 5, topPMass }),
    "INVALID_ARGUMENT",
    "items.signal.top_p_mass",
    undefined,
  ]),
  [
    "a mass without a longest list",
    signal({ topPMass: 0.9 }),
    "INVALID_ARGUMENT",
    "items.signal.top_p_mass",
    undefined,
  ],
  ...[{ moments: true }, { taus: [2] }, { dense: "DENSE_TYPE_F16" as const }].map(
    (raw): Refusal => [
      `log-probabilities beside ${Object.keys(raw)[0]}`,
      signal({ topK: 5, logProbs: true, ...raw }),
      "INVALID_ARGUMENT",
      "items.signal.log_probs",
      undefined,
    ],
  ),
  [
    "no ids of no list",
    signal({ token: true, omitTopIds: true }),
    "INVALID_ARGUMENT",
    "items.signal.omit_top_ids",
    undefined,
  ],
  ["too many draws", signal({ draws: 5 }), "INVALID_ARGUMENT", "items.signal.draws", 4],
  [
    "draws at temperature 0",
    signal({ drawTemperature: 0 }),
    "INVALID_ARGUMENT",
    "items.signal.draw_temperature",
    undefined,
  ],
  [
    "too many temperatures",
    signal({ taus: [1, 2, 3] }),
    "INVALID_ARGUMENT",
    "items.signal.taus",
    2,
  ],
  ["a temperature of 0", signal({ taus: [0] }), "INVALID_ARGUMENT", "items.signal.taus", undefined],
  [
    "a temperature that is no number",
    signal({ taus: [NaN] }),
    "INVALID_ARGUMENT",
    "items.signal.taus",
    undefined,
  ],
  [
    "an unknown encoding",
    signal({ encoding: 7 as unknown as "ENCODING_PLAIN" }),
    "INVALID_ARGUMENT",
    "items.signal.encoding",
    undefined,
  ],
  [
    "an unknown dense type",
    signal({ dense: 7 as unknown as "DENSE_TYPE_F16" }),
    "INVALID_ARGUMENT",
    "items.signal.dense",
    undefined,
  ],
  [
    "a negative error bound",
    signal({ maxLogitError: -1 }),
    "INVALID_ARGUMENT",
    "items.signal.max_logit_error",
    undefined,
  ],
  [
    "a layer that is not there",
    signal({ hiddenLayers: [3] }),
    "NOT_FOUND",
    "items.signal.hidden_layers",
    2,
  ],
  [
    "a layer twice",
    signal({ hiddenLayers: [1, 1] }),
    "INVALID_ARGUMENT",
    "items.signal.hidden_layers",
    undefined,
  ],
  [
    "too much dense",
    () =>
      admitScoreItem(
        { ...item, tokens: u32(Array(12).fill(1)), signal: { ...spec, dense: "DENSE_TYPE_F32" } },
        limits,
      ),
    "INVALID_ARGUMENT",
    "items.signal.dense",
    4000,
  ],
  [
    "temperatures that do not divide into rows",
    score({ taus: f32([1, 2, 3]) }),
    "INVALID_ARGUMENT",
    "items.taus",
    undefined,
  ],
  [
    "temperatures per row beside log-probabilities",
    score({ taus: f32([1, 2]), signal: { ...spec, logProbs: true } }),
    "INVALID_ARGUMENT",
    "items.taus",
    undefined,
  ],
  [
    "temperatures per row and for all",
    score({ taus: f32([1, 2]), signal: { ...spec, taus: [1] } }),
    "INVALID_ARGUMENT",
    "items.taus",
    undefined,
  ],
  [
    "ids without offsets",
    score({ atIds: u32([1]) }),
    "INVALID_ARGUMENT",
    "items.at_offsets",
    undefined,
  ],
  [
    "offsets that do not begin at 0",
    score({ atOffsets: u32([1, 1, 1]), atIds: u32([1]) }),
    "INVALID_ARGUMENT",
    "items.at_offsets",
    undefined,
  ],
  [
    "offsets that fall",
    score({ from: 1, atOffsets: u32([0, 2, 1]), atIds: u32([1]) }),
    "INVALID_ARGUMENT",
    "items.at_offsets",
    undefined,
  ],
  [
    "too many ids in a row",
    score({ atOffsets: u32([0, 4, 4]), atIds: u32([1, 2, 3, 4]) }),
    "INVALID_ARGUMENT",
    "items.at_offsets",
    3,
  ],
  [
    "an asked id outside the vocabulary",
    score({ atOffsets: u32([0, 1, 1]), atIds: u32([100]) }),
    "INVALID_ARGUMENT",
    "items.at_ids",
    100,
  ],
  ["an empty prompt", opening({ prompt: none }), "INVALID_ARGUMENT", "opens.prompt", undefined],
  [
    "no room for a response",
    opening({ maxResponse: 0 }),
    "INVALID_ARGUMENT",
    "opens.max_response",
    undefined,
  ],
  [
    "a response longer than the context",
    opening({ maxResponse: 19 }),
    "OUT_OF_RANGE",
    "opens.max_response",
    20,
  ],
  [
    "a kept response beyond its limit",
    opening({ response: u32([1, 2, 3, 4, 5, 6]) }),
    "INVALID_ARGUMENT",
    "opens.response",
    5,
  ],
  [
    "rank 0",
    opening({ rule: { rule: "rank", rank: 0 } }),
    "INVALID_ARGUMENT",
    "opens.rule.rank",
    undefined,
  ],
  [
    "a nucleus above 1",
    opening({ rule: { rule: "topP", topP: 1.5 } }),
    "INVALID_ARGUMENT",
    "opens.rule.top_p",
    undefined,
  ],
  [
    "greedy = false",
    opening({ rule: { rule: "greedy", greedy: false } }),
    "INVALID_ARGUMENT",
    "opens.rule.greedy",
    undefined,
  ],
  [
    "a negative temperature",
    opening({ sampling: { temperature: -1, topK: 0, topP: 1 } }),
    "INVALID_ARGUMENT",
    "opens.sampling.temperature",
    undefined,
  ],
  [
    "a top_p of 2",
    opening({ sampling: { temperature: 1, topK: 0, topP: 2 } }),
    "INVALID_ARGUMENT",
    "opens.sampling.top_p",
    undefined,
  ],
  ["an empty draft", drafting({ tokens: none }), "INVALID_ARGUMENT", "drafts.tokens", undefined],
  [
    "a block that is too long",
    drafting({ tokens: u32([1, 2, 3, 4, 5]) }),
    "INVALID_ARGUMENT",
    "drafts.tokens",
    4,
  ],
  [
    "a draft id outside the vocabulary",
    drafting({ tokens: u32([100]) }),
    "INVALID_ARGUMENT",
    "drafts.tokens",
    100,
  ],
  [
    "a draft's temperatures beside the sequence's",
    drafting({ taus: f32([1, 2]) }, { taus: [1] }),
    "INVALID_ARGUMENT",
    "drafts.taus",
    undefined,
  ],
  [
    "generation without room",
    () => admitGeneration({ ...generation, maxResponse: 0 }, limits),
    "INVALID_ARGUMENT",
    "max_response",
    undefined,
  ],
  [
    "too many sequences to generate",
    () =>
      admitGeneration(
        { ...generation, items: Array(4).fill({ sequence: 1, rngKey: 0, prompt: u32([1]) }) },
        limits,
      ),
    "INVALID_ARGUMENT",
    "items",
    3,
  ],
  [
    "a prompt that leaves no room",
    () =>
      admitPrompt(
        { sequence: 1, rngKey: 0, prompt: u32(Array(17).fill(1)) },
        admitGeneration(generation, limits),
        limits,
      ),
    "OUT_OF_RANGE",
    "max_response",
    20,
  ],
];

describe("admission", () => {
  for (const [what, run, code, field, limit] of refusals) {
    it(`refuses ${what}, naming field and limit`, () => {
      assert.throws(run, (error: unknown) => {
        assert.ok(error instanceof TandemError, String(error));
        assert.deepEqual(
          [error.code, error.field, error.limit],
          [code, field, limit],
          error.message,
        );
        return true;
      });
    });
  }

  it("takes a score item with everything in it", () => {
    const valid = admitScoreItem(
      {
        ...item,
        next: true,
        from: 2,
        taus: f32([1, 2, 3, 4]),
        atOffsets: u32([0, 1, 3]),
        atIds: u32([7, 8, 9]),
        signal: { ...spec, topK: 3, dense: "DENSE_TYPE_F16", encoding: "ENCODING_COMPACT" },
      },
      limits,
    );
    assert.deepEqual([...valid.tokens], [1, 2, 3]);
    assert.equal(valid.rows, 2);
    assert.deepEqual([...valid.taus!], [1, 2, 3, 4]);
    assert.deepEqual(
      [[...valid.atOffsets!], [...valid.atIds!]],
      [
        [0, 1, 3],
        [7, 8, 9],
      ],
    );
    assert.deepEqual(valid.signal.encoding, { encoding: "compact", maxLogitError: 0.01 });
    assert.equal(valid.signal.spec.dense, "f16");
  });

  it("takes a mass of 0 or 1 for whole lists", () => {
    const massOf = (topPMass: number) =>
      admitScoreItem({ ...item, signal: { ...spec, topK: 3, topPMass } }, limits).signal.spec
        .topPMass;
    assert.deepEqual([0, 0.5, 1].map(massOf), [1, 0.5, 1]);
  });

  it("reads ids from bytes at odd addresses", () => {
    const shifted = Buffer.concat([Buffer.of(0), u32([5, 6])]).subarray(1);
    assert.deepEqual([...admitScoreItem({ ...item, tokens: shifted }, limits).tokens], [5, 6]);
  });

  it("defaults to the paper's rule and to the greedy teacher", () => {
    const valid = admitOpen(open, limits);
    assert.deepEqual(valid.rule, { kind: "rank", k: 25 });
    assert.deepEqual(valid.sampling, { temperature: 0, topK: 0, topP: 1 });
  });

  it("treats a top_p of 0 as off", () => {
    assert.equal(
      admitOpen({ ...open, sampling: { temperature: 1, topK: 0, topP: 0 } }, limits).sampling.topP,
      1,
    );
  });
});
