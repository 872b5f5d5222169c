import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  AGENT_SIZE,
  chooseTemperatures,
  learnFromStep,
  scoreOf,
  STATE_SIZE,
  type AgentOptions,
} from "@tandem/student-trainer/losses/itkd-agent.js";
import type { MinibatchPosition } from "@tandem/student-trainer/losses/loss-definition.js";
import { assertAllClose } from "../../helpers/all-close.js";

const OPTIONS: AgentOptions & { readonly progress: number } = {
  minimum: 1,
  maximum: 5,
  exploration: 0.4,
  explored: 0.5,
  discount: 0.5,
  agentRate: 0.1,
  seed: 3,
  progress: 0.25,
};
/** Of four positions: the teacher's entropy, and the student's overlap with it. */
const ENTROPIES = Float32Array.of(0.5, 2, 1, 0.25);
const OVERLAPS = [0.5, 0.9, 0.2, 0.75];

function positionsOf(overlaps: readonly number[]): readonly MinibatchPosition[] {
  const signal = { from: 1, count: 4, topK: 0, tauCount: 0, entropy: ENTROPIES };
  return overlaps.map((probe, row) => ({
    token: 0,
    dataRow: 7,
    coefficient: 0.25,
    sequence: 0,
    byStudent: true,
    given: false,
    oldLogProb: undefined,
    signal,
    signals: [signal],
    row,
    atIds: undefined,
    probe,
  }));
}

function agentOf(policy: readonly number[], steps = 0): Float32Array {
  const agent = new Float32Array(AGENT_SIZE);
  agent.set(policy);
  agent[AGENT_SIZE - 1] = steps;
  return agent;
}

describe("the agent of instance temperatures", () => {
  it("explores where the teacher is surest and takes its mean elsewhere", () => {
    const agent = agentOf([0.5, -1, 0.25, 2]);
    const choices = chooseTemperatures(positionsOf(OVERLAPS), agent, OPTIONS);
    choices.forEach(({ state, noise, temperature }, at) => {
      const expected = [1, OVERLAPS[at]!, ENTROPIES[at]!, 0.25];
      assertAllClose(state, expected, { rtol: 0, atol: 0 });
      // Half of four: entropies 0.25 and 0.5.
      assert.equal(noise !== 0, at === 0 || at === 3);
      const action = 0.5 - OVERLAPS[at]! + 0.25 * ENTROPIES[at]! + 0.5 + 0.4 * noise;
      const own = 1 + 4 / (1 + Math.exp(-action));
      assertAllClose([temperature], [own], { rtol: 1e-12, atol: 0 });
    });
    // Gaps ½ and ¼ of the positions that explore: two thirds and one third of a reward.
    const merits = choices.map(({ merit }) => merit);
    assertAllClose(merits, [2 / 3, 0, 0, 1 / 3], { rtol: 1e-12, atol: 0 });
  });

  it("chooses the same again, and otherwise in another step", () => {
    const at = (steps: number) =>
      chooseTemperatures(positionsOf(OVERLAPS), agentOf([0, 0, 0, 0], steps), OPTIONS);
    assert.deepEqual(at(4), at(4));
    assert.notEqual(at(4)[0]!.noise, at(5)[0]!.noise);
  });

  it("has a score that times the reward is its gradient, by merits, over 10⁴ steps", () => {
    const slopes = [1, 0, 0, -2];
    const sums = [0, 0, 0, 0];
    const squares = [0, 0, 0, 0];
    const count = 10_000;
    for (let step = 0; step < count; step++) {
      const agent = agentOf([0, 0, 0, 0], step);
      const choices = chooseTemperatures(positionsOf(OVERLAPS), agent, OPTIONS);
      // Linear in the actions: ∂E[reward]/∂(θ·s_i) = slope_i.
      const reward = choices.reduce((sum, { noise }, i) => sum + slopes[i]! * 0.4 * noise, 0);
      scoreOf(choices, 0.4).forEach((score, at) => {
        sums[at]! += (reward * score) / count;
        squares[at]! += (reward * score) ** 2 / count;
      });
    }
    // Merits ⅔ and ⅓ times slopes 1 and −2 times the states.
    const expected = [1, 0.5, 0.5, 0.25].map(
      (own, at) => (2 / 3) * own - (2 / 3) * [1, 0.75, 0.25, 0.25][at]!,
    );
    sums.forEach((mean, at) => {
      const atol = 4 * Math.sqrt((squares[at]! - mean * mean) / count);
      assertAllClose([mean], [expected[at]!], { rtol: 0, atol }, `component ${at}`);
    });
  });

  it("credits a step's choices with rewards that come later, less what is usual", () => {
    const agent = agentOf([0, 0, 0, 0]);
    const act = () => chooseTemperatures(positionsOf(OVERLAPS), agent, OPTIONS);
    const first = scoreOf(act(), 0.4);
    learnFromStep(agent, act(), 0.3, OPTIONS);
    const F32 = { rtol: 1e-5, atol: 1e-7 };
    assertAllClose(agent.subarray(STATE_SIZE, 2 * STATE_SIZE), first, F32, "trace");
    const second = scoreOf(act(), 0.4);
    // The first reward, 0.1, is what is usual: nothing is learnt from it.
    learnFromStep(agent, act(), 0.4, OPTIONS);
    assertAllClose(agent.subarray(0, STATE_SIZE), [0, 0, 0, 0], F32, "policy");
    const trace = first.map((own, at) => 0.5 * own + second[at]!);
    assertAllClose(agent.subarray(STATE_SIZE, 2 * STATE_SIZE), trace, F32, "trace");
    // The second, 0.3, lies 0.2 above it: its own deviation, one unit.
    learnFromStep(agent, act(), 0.7, OPTIONS);
    assertAllClose(
      agent.subarray(0, STATE_SIZE),
      trace.map((own) => 0.1 * own),
      F32,
      "policy",
    );
    assertAllClose([agent[8]!, agent[9]!], [0.12, 0.04], F32, "memory");
  });

  for (const direction of [1, -1]) {
    it(`finds ${direction > 0 ? "higher" : "lower"} temperatures where they help`, () => {
      const agent = agentOf([0, 0, 0, 0]);
      let performance = 0;
      for (let step = 0; step < 600; step++) {
        const choices = chooseTemperatures(positionsOf(OVERLAPS), agent, OPTIONS);
        learnFromStep(agent, choices, performance, { ...OPTIONS, discount: 0 });
        const explored = choices.filter(({ noise }) => noise !== 0);
        performance += explored.reduce((sum, own) => sum + direction * (own.temperature - 3), 0);
      }
      const chosen = chooseTemperatures(positionsOf(OVERLAPS), agent, {
        ...OPTIONS,
        exploration: 0,
      });
      for (const { temperature } of [chosen[0]!, chosen[3]!]) {
        assert.ok(direction * (temperature - 3) > 0.8, `${temperature}`);
      }
    });
  }
});
