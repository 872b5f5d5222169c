import { describe, it } from "node:test";
import { evaluateLoss } from "@tandem/student-trainer";
import { configureLoss } from "@tandem/student-trainer/losses/loss-registry.js";
import type { MinibatchPosition } from "@tandem/student-trainer/losses/loss-definition.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { assertAllClose } from "../../helpers/all-close.js";
import {
  along,
  LOG_P,
  LOG_Q,
  STATES,
  stateOf,
  STUDENT,
  TEACHER,
  TEXTS,
  total,
  V,
} from "../../helpers/enumerable-language.js";
import { logSumExp } from "../../helpers/signal-of-logits.js";

const zeros = (length: number): number[] => Array.from({ length }, () => 0);

function signalOf(states: readonly number[], text: readonly number[]): TeacherSignal {
  const rows = states.map((state) => TEACHER[state]!);
  return {
    from: 1,
    count: rows.length,
    topK: 0,
    tauCount: 0,
    lse: Float32Array.from(rows, (row) => logSumExp(row)),
    tokenLogit: Float32Array.from(rows, (row, t) => row[text[t]!]!),
    rank: new Uint32Array(rows.length),
    dense: Float32Array.from(rows.flat()),
  };
}

/** The loss of one text, summed over its positions, by the laws' logits: [STATES][V], 0 where the text does not pass. */
async function gradientOf(loss: string, options: object, text: readonly number[]) {
  const states = text.map((_, t) => stateOf(text, t));
  const { gradient } = await evaluateLoss({
    loss,
    options: { ...options },
    engine: "reference",
    studentLogits: Float64Array.from(states.flatMap((state) => STUDENT[state]!)),
    vocabulary: V,
    targets: Uint32Array.from(text),
    signal: signalOf(states, text),
    oldLogProbs: Float32Array.from(along(LOG_Q, text)),
  });
  const sum = STUDENT.map(() => zeros(V));
  // The value is the mean over positions.
  states.forEach((state, t) => {
    for (let id = 0; id < V; id++) sum[state]![id] = text.length * gradient[t * V + id]!;
  });
  return sum.flat();
}

/** In expectation over the student's texts. */
async function expectedGradient(loss: string, options: object): Promise<number[]> {
  const expected = zeros(STATES * V);
  for (const text of TEXTS) {
    const probability = Math.exp(total(along(LOG_Q, text)));
    const own = await gradientOf(loss, options, text);
    own.forEach((value, at) => (expected[at]! += probability * value));
  }
  return expected;
}

/** ∇ Σ_y q(y)·log(q(y)/p(y)) = Σ_y q(y)·log(q(y)/p(y))·∇ log q(y), summed over all 125 texts. */
function exactGradient(): number[] {
  const exact = zeros(STATES * V);
  for (const text of TEXTS) {
    const logQ = total(along(LOG_Q, text));
    const weight = Math.exp(logQ) * (logQ - total(along(LOG_P, text)));
    text.forEach((chosen, t) => {
      const state = stateOf(text, t);
      for (let id = 0; id < V; id++) {
        const slope = (id === chosen ? 1 : 0) - Math.exp(LOG_Q[state]![id]!);
        exact[state * V + id]! += weight * slope;
      }
    });
  }
  return exact;
}

const PLAIN = {
  discount: 1,
  lengthNormalised: false,
  whiten: false,
  clip: null,
  rewardScale: 1,
  dense: true,
};
// The signal's numbers are float32.
const CLOSE = { rtol: 1e-5, atol: 2e-6 };

describe("MiniLLM's policy gradient, in expectation over all texts", () => {
  it("is the gradient of reverse KL over whole responses: exact single step, the rest by its returns", async () => {
    const expected = await expectedGradient("minillm", { ...PLAIN, horizon: "next" });
    assertAllClose(expected, exactGradient(), CLOSE);
  });

  it("is it also without the single step, when each token answers for its own reward", async () => {
    const options = { ...PLAIN, horizon: "own", singleStep: 0 };
    assertAllClose(await expectedGradient("minillm", options), exactGradient(), CLOSE);
  });
});

describe("on-policy distillation, in expectation over the tokens of a position", () => {
  const [p, q] = [LOG_P[0]!, LOG_Q[0]!];
  const position = async (options: object, old: readonly number[], draw: readonly number[]) => {
    const sum = zeros(V);
    for (let id = 0; id < V; id++) {
      const { gradient } = await evaluateLoss({
        loss: "sampled-reverse-kl",
        options: { ...options },
        engine: "reference",
        studentLogits: Float64Array.from(STUDENT[0]!),
        vocabulary: V,
        targets: Uint32Array.of(id),
        signal: signalOf([0], [id]),
        oldLogProbs: Float32Array.of(old[id]!),
      });
      gradient.forEach((value, at) => (sum[at]! += Math.exp(draw[id]!) * value));
    }
    return sum;
  };
  /** By the logits of q: Σ_i q_i·c_i·(1[i=v] − q_v). */
  const slopes = (costs: readonly number[]): number[] => {
    const mean = total(costs.map((cost, id) => Math.exp(q[id]!) * cost));
    return costs.map((cost, id) => Math.exp(q[id]!) * (cost - mean));
  };

  it("is the gradient of KL(q‖p), with either ratio as long as the student is the one that wrote", async () => {
    const exact = slopes(q.map((logQ, id) => logQ - p[id]!));
    for (const ratio of ["now", "old"]) {
      assertAllClose(await position({ ratio }, q, q), exact, CLOSE, ratio);
    }
  });

  it("corrects a student that has moved by the token's own ratio", async () => {
    const old = LOG_Q[3]!;
    // Σ q₀·(q/q₀)·(log q₀ − log p)·∇ log q.
    const exact = slopes(old.map((logQ, id) => logQ - p[id]!));
    assertAllClose(await position({ ratio: "old" }, old, old), exact, CLOSE);
  });

  it("does not move a token whose probability has changed too much already", async () => {
    const old = q.map((logQ) => logQ - 1); // ρ = e
    const gradient = await position({ ratio: "old", clip: 0.2 }, old, q);
    // Held where the advantage is positive: there the token has risen enough.
    const held = q.map((_, id) => p[id]! - old[id]! > 0);
    const weights = q.map((_, id) => (held[id] ? 0 : Math.E * (old[id]! - p[id]!)));
    assertAllClose(gradient, slopes(weights), CLOSE);
  });
});

describe("MiniLLM's columns", () => {
  const rewards = [0.5, -1.5, 2, 1, -0.25];
  const sequences = [0, 0, 0, 1, 1];
  const rows = [0, 1, 2, 0, 1];
  const old = [-1, -2, -0.5, -3, -1];
  /** Two texts in one minibatch; r = log p − log q₀ of each token. */
  const positions = rewards.map((reward, at): MinibatchPosition => ({
    token: 0,
    dataRow: 0,
    coefficient: 0.2,
    sequence: sequences[at]!,
    byStudent: true,
    given: false,
    oldLogProb: old[at]!,
    signal: {
      from: 1,
      count: 3,
      topK: 0,
      tauCount: 0,
      lse: new Float32Array(3),
      tokenLogit: new Float32Array(3).fill(reward + old[at]!),
    },
    signals: [],
    row: rows[at]!,
    atIds: undefined,
    probe: 0,
  }));
  const columns = (options: object) =>
    configureLoss("minillm", options, "test").columns.compute(positions, 0, {});

  it("sum rewards of their own text alone, discounted and divided by their number", () => {
    const options = { whiten: false, discount: 0.5, rewardScale: 0.5 };
    // Text 0: r/0.5 = 1, −3, 4; text 1: 2, −0.5.
    const sums = [1 - 1.5 + 1, -3 + 2, 4, 2 - 0.25, -0.5];
    const left = [3, 2, 1, 2, 1];
    const expected = sums.map((sum, at) => sum / left[at]!);
    assertAllClose(columns(options)[1]!, expected, { rtol: 1e-6, atol: 1e-6 });
  });

  it("whiten over the minibatch", () => {
    const advantages = columns({})[1]!;
    const mean = total([...advantages]) / 5;
    const variance = total([...advantages].map((a) => (a - mean) ** 2)) / 5;
    assertAllClose([mean, variance], [0, 1], { rtol: 1e-5, atol: 1e-6 });
  });

  it("weigh a token of the mixture by q₀/(m·p + (1−m)·q₀)", () => {
    const weights = columns({ mix: 0.2 })[3]!;
    const expected = rewards.map((reward, at) => {
      const [pToken, qToken] = [Math.exp(reward + old[at]!), Math.exp(old[at]!)];
      return qToken / (0.2 * pToken + 0.8 * qToken);
    });
    assertAllClose(weights, expected, { rtol: 1e-6, atol: 1e-6 });
  });
});
