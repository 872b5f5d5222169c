import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MinibatchPosition } from "@tandem/student-trainer/losses/loss-definition.js";
import { configureLoss } from "@tandem/student-trainer/losses/loss-registry.js";
import { assertAllClose } from "../../helpers/all-close.js";
import {
  along,
  LOG_P,
  LOG_Q as LAWS,
  logSoftmax,
  STATES,
  stateOf,
  STUDENT,
  TEXTS,
  total,
  V,
} from "../../helpers/enumerable-language.js";

/** Two prompts with two responses each, and a response without a counterpart: prompt, response, is it the student's, log p, coefficient. */
const ROWS = [
  [1, 11, 0, -0.5, 0.1],
  [1, 11, 0, -0.25, 0.1],
  [1, 12, 1, -1.5, 0.2],
  [1, 12, 1, -2, 0.15],
  [2, 21, 1, -3, 0.05],
  [2, 21, 1, -0.1, 0.05],
  [2, 22, 0, -0.7, 0.2],
  [3, 31, 1, -1, 0.15],
] as const;
const LOG_Q = [-0.9, -0.4, -1.1, -0.3, -0.8, -1.7, -0.6, -0.2];
const BETA = 0.7;

const positions = ROWS.map(
  ([dataRow, sequence, own, logP, coefficient], at): MinibatchPosition => ({
    token: 0,
    dataRow,
    sequence,
    byStudent: own === 1,
    given: false,
    oldLogProb: undefined,
    coefficient,
    signal: {
      from: 1,
      count: 1,
      topK: 0,
      tauCount: 0,
      tokenLogit: Float32Array.of(logP + 2),
      lse: Float32Array.of(2),
    },
    signals: [],
    row: 0,
    atIds: undefined,
    probe: LOG_Q[at]!,
  }),
);

/** Mean over both pairs, from the formula. */
function expected(logQ: readonly number[]): number {
  const ratio = (response: number) => {
    const own = [...ROWS.keys()].filter((at) => ROWS[at]![1] === response);
    return own.reduce((sum, at) => sum + logQ[at]! - ROWS[at]![3], 0) / own.length;
  };
  const loss = (a: number, b: number) =>
    -Math.log(1 / (1 + Math.exp(-BETA * (ratio(a) - ratio(b)))));
  return (loss(11, 12) + loss(22, 21)) / 2;
}

describe("dpkd of responses", () => {
  const { columns } = configureLoss("dpkd", { level: "sequence", beta: BETA }, "losses[0]");
  const [slope, value] = columns.compute(positions, 0, {}) as [Float32Array, Float32Array];
  const F32 = { rtol: 1e-5, atol: 1e-7 };

  it("is the mean over pairs, whatever the positions weigh", () => {
    const sum = ROWS.reduce((total, row, at) => total + row[4] * value[at]!, 0);
    assertAllClose([sum], [expected(LOG_Q)], F32);
    assert.deepEqual([slope[7], value[7]], [0, 0]);
  });

  it("pulls log q of each token along central differences", () => {
    const step = 1e-6;
    const differences = LOG_Q.map((_, at) => {
      const moved = (by: number) => expected(LOG_Q.with(at, LOG_Q[at]! + by));
      return (moved(step) - moved(-step)) / (2 * step);
    });
    const pulls = ROWS.map((row, at) => row[4] * slope[at]!);
    assertAllClose(pulls, differences, F32);
  });
});

/** A teacher's text and a student's to one prompt, by the laws of an enumerable language. */
function pairOf(texts: readonly (readonly number[])[]): readonly MinibatchPosition[] {
  return texts.flatMap((text, response) => {
    const [logP, logQ] = [along(LOG_P, text), along(LAWS, text)];
    return text.map((token, t): MinibatchPosition => ({
      ...positions[0]!,
      token,
      dataRow: 0,
      sequence: response,
      byStudent: response === 1,
      coefficient: 1 / 6,
      signal: {
        from: 1,
        count: 1,
        topK: 0,
        tauCount: 0,
        tokenLogit: Float32Array.of(logP[t]!),
        lse: Float32Array.of(0),
      },
      probe: logQ[t]!,
    }));
  });
}

describe("dpkd of responses, in expectation over all pairs of a teacher's and a student's text", () => {
  const { columns } = configureLoss("dpkd", { level: "sequence", beta: BETA }, "losses[0]");
  /** Of the teacher's law and of the student's that wrote. */
  const chances = [LOG_P, LAWS].map((laws) =>
    TEXTS.map((text) => Math.exp(total(along(laws, text)))),
  );

  /** Σ p(a)·q₀(b)·−log σ(β·[r(a) − r(b)]) by the logits of q, the chances held: central differences. */
  function exactGradient(): readonly number[] {
    const expectation = (logits: readonly (readonly number[])[]): number => {
      const laws = logits.map(logSoftmax);
      const ratios = TEXTS.map(
        (text) => (total(along(laws, text)) - total(along(LOG_P, text))) / 3,
      );
      return total(
        ratios.map((a, i) =>
          total(
            ratios.map(
              (b, j) => chances[0]![i]! * chances[1]![j]! * Math.log1p(Math.exp(BETA * (b - a))),
            ),
          ),
        ),
      );
    };
    const step = 1e-4;
    return STUDENT.flatMap((row, state) =>
      row.map((x, id) => {
        const moved = (by: number) => expectation(STUDENT.with(state, row.with(id, x + by)));
        return (moved(step) - moved(-step)) / (2 * step);
      }),
    );
  }

  it("has the exact gradient", () => {
    const expected = Array.from({ length: STATES * V }, () => 0);
    TEXTS.forEach((preferred, i) =>
      TEXTS.forEach((rejected, j) => {
        const pair = pairOf([preferred, rejected]);
        const [slope] = columns.compute(pair, 0, {}) as [Float32Array];
        pair.forEach(({ token, coefficient }, at) => {
          const state = stateOf(at < 3 ? preferred : rejected, at % 3);
          const pull = chances[0]![i]! * chances[1]![j]! * coefficient * slope[at]!;
          for (let id = 0; id < V; id++) {
            const slopeOfLog = (id === token ? 1 : 0) - Math.exp(LAWS[state]![id]!);
            expected[state * V + id]! += pull * slopeOfLog;
          }
        });
      }),
    );
    // Slopes and signals are float32.
    assertAllClose(expected, exactGradient(), { rtol: 1e-5, atol: 1e-8 });
  });
});
