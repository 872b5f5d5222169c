import { rngKeyOf } from "@tandem/shared/numeric/hash32.js";
import { fillNormal } from "@tandem/shared/numeric/normal-numbers.js";
import type { MinibatchPosition } from "./loss-definition.js";
import { signalPart } from "./signal-part.js";

/** How the agent of `itkd` chooses and learns. */
export interface AgentOptions {
  /** Temperatures lie between the two. */
  readonly minimum: number;
  readonly maximum: number;
  /** σ of what is added to the action where the agent explores; 0: nowhere. */
  readonly exploration: number;
  /** The part of the minibatch's positions where it does. */
  readonly explored: number;
  /** γ, of rewards that come later. */
  readonly discount: number;
  readonly agentRate: number;
  readonly seed: number;
}

/** What the agent did at a position. */
export interface AgentChoice {
  readonly state: readonly number[];
  /** Standard normal; 0 where it did not explore. */
  readonly noise: number;
  readonly temperature: number;
  /** The part of a reward that is its own. */
  readonly merit: number;
}

/** Numbers of a state: 1, performance, uncertainty, progress. */
export const STATE_SIZE = 4;

/** Where the agent's numbers stand: the policy's weights θ, the eligibility trace e, then its memory of rewards. */
const TRACE = STATE_SIZE;
const MEMORY = { mean: 8, square: 9, performance: 10, steps: 11 } as const;
export const AGENT_SIZE = 12;

const SMOOTHING = 0.9;
/** In standard deviations. */
const LARGEST_REWARD = 3;

/** A temperature for each position: minimum + (maximum − minimum)·σ(θ·s + σ_e·ε), s the position's state, ε counted noise at the positions
 * where the teacher is surest. The probe is the student's performance there, Σ min(p,q). */
export function chooseTemperatures(
  positions: readonly MinibatchPosition[],
  agent: ArrayLike<number>,
  { progress, ...chosen }: AgentOptions & { readonly progress: number },
): readonly AgentChoice[] {
  const uncertainty = positions.map(
    ({ signal, row }) => signalPart(signal?.entropy, "moments")[row]!,
  );
  const explored = surest(uncertainty, chosen.explored);
  const gaps = positions.map(({ probe, coefficient }, at) =>
    explored.has(at) ? coefficient * (1 - probe) : 0,
  );
  const sum = gaps.reduce((total, gap) => total + gap, 0);
  const step = agent[MEMORY.steps]!;
  return positions.map((position, at) => {
    const state = [1, position.probe, uncertainty[at]!, progress];
    const explores = chosen.exploration > 0 && explored.has(at);
    const noise = explores ? noiseAt(position, step, chosen.seed) : 0;
    const action = dot(agent, state) + chosen.exploration * noise;
    const temperature =
      chosen.minimum + (chosen.maximum - chosen.minimum) / (1 + Math.exp(-action));
    return { state, noise, temperature, merit: sum > 0 ? gaps[at]! / sum : 0 };
  });
}

/** The agent behind a step, changed in place: the reward of the steps before, the rise of the mean performance since, moves θ along the trace;
 * then the step's own choices join it. */
export function learnFromStep(
  agent: Float32Array,
  choices: readonly AgentChoice[],
  performance: number,
  { discount, agentRate, exploration }: AgentOptions,
): void {
  const steps = agent[MEMORY.steps]!;
  if (steps > 0) {
    const surprise = surpriseOf(agent, performance - agent[MEMORY.performance]!);
    for (let at = 0; at < STATE_SIZE; at++) {
      agent[at] = agent[at]! + agentRate * surprise * agent[TRACE + at]!;
    }
  }
  const score = scoreOf(choices, exploration);
  for (let at = 0; at < STATE_SIZE; at++) {
    agent[TRACE + at] = discount * agent[TRACE + at]! + score[at]!;
  }
  agent[MEMORY.performance] = performance;
  agent[MEMORY.steps] = steps + 1;
}

/** Σ merit·∇_θ log π(action), π normal around θ·s with deviation σ. Times a reward its expectation is Σ merit·s·∂E[reward]/∂(θ·s): the
 * gradient, with each position's part in proportion to its merit. */
export function scoreOf(choices: readonly AgentChoice[], exploration: number): readonly number[] {
  return Array.from({ length: STATE_SIZE }, (_, at) =>
    choices.reduce(
      (sum, { state, noise, merit }) =>
        noise === 0 ? sum : sum + (merit * noise * state[at]!) / exploration,
      0,
    ),
  );
}

/** A reward less what is usual, in standard deviations; remembers it. The first ones only become what is usual. */
function surpriseOf(agent: Float32Array, reward: number): number {
  if (agent[MEMORY.steps] === 1) {
    agent[MEMORY.mean] = reward;
    return 0;
  }
  const own = reward - agent[MEMORY.mean]!;
  const before = agent[MEMORY.square]!;
  agent[MEMORY.mean] = agent[MEMORY.mean]! + (1 - SMOOTHING) * own;
  agent[MEMORY.square] = before === 0 ? own * own : SMOOTHING * before + (1 - SMOOTHING) * own ** 2;
  const deviation = Math.sqrt(agent[MEMORY.square]!);
  if (deviation === 0) return 0;
  return Math.max(-LARGEST_REWARD, Math.min(LARGEST_REWARD, own / deviation));
}

/** The ⌈share·n⌉ positions with the smallest entropy; of equal ones the earlier. */
function surest(entropies: readonly number[], share: number): ReadonlySet<number> {
  const order = Array.from(entropies.keys()).sort((a, b) => entropies[a]! - entropies[b]!);
  return new Set(order.slice(0, Math.ceil(share * entropies.length)));
}

function noiseAt({ dataRow, row }: MinibatchPosition, step: number, seed: number): number {
  const own = new Float32Array(1);
  fillNormal(own, { std: 1, seed: (seed ^ rngKeyOf(step, dataRow, 0)) >>> 0, tensor: row });
  return own[0]!;
}

function dot(weights: ArrayLike<number>, state: readonly number[]): number {
  return state.reduce((sum, own, at) => sum + own * weights[at]!, 0);
}
