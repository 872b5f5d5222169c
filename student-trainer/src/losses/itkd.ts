import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { AGENT_SIZE, chooseTemperatures, learnFromStep, STATE_SIZE } from "./itkd-agent.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import { temperedKl } from "./tempered-kl.js";

const options = z
  .strictObject({
    minimum: z.number().positive().default(1).describe("the smallest temperature"),
    maximum: z.number().positive().default(8).describe("the largest temperature"),
    exploration: z
      .number()
      .min(0)
      .default(0.5)
      .describe(
        "σ of what is added to the agent's action (log-odds of the range) where it explores",
      ),
    explored: z
      .number()
      .positive()
      .max(1)
      .default(0.5)
      .describe(
        "the part of the minibatch's positions where it explores: where the teacher is surest",
      ),
    discount: z
      .number()
      .min(0)
      .lt(1)
      .default(0.9)
      .describe("γ: what a step is credited with of the rewards behind it"),
    agentRate: z
      .number()
      .min(0)
      .default(0.1)
      .describe("the agent's learning rate; 0 leaves it as it is"),
    initial: z
      .array(z.number())
      .length(STATE_SIZE)
      .default(Array<number>(STATE_SIZE).fill(0))
      .describe(
        "the agent's policy at the start: weights of 1, performance, uncertainty (nats) and progress; zeros choose the middle of the range",
      ),
    seed: z.int().min(0).max(0xffffffff).default(0).describe("of the exploration"),
  })
  .refine(({ minimum, maximum }) => minimum < maximum, "minimum must be below maximum");

/** T²·KL(softmax(u/T) ‖ softmax(v/T)), T of each position chosen by an agent that learns beside the student by policy gradient: its state is the
 * student's performance at the position before the step, the teacher's uncertainty there and the progress of the run, its reward the rise of the
 * mean performance in the steps that follow.
 * Source: instance-temperature KD by reinforcement learning (arXiv 2407.00115), abstract: temperatures as a sequence of decisions, a state of
 * performance and uncertainty, delayed rewards calibrated to instances, exploration where instances are good. All functions are our reading. */
export const itkd: LossDefinition<z.output<typeof options>> = {
  name: "itkd",
  summary:
    "forward KL at temperatures of each position, chosen by an agent that learns what helps later",
  source: "Instance Temperature KD, arXiv 2407.00115 (abstract)",
  options,
  // Temperatures are known only when the step begins, too late to ask for their normalisers.
  requires: () => ({ signal: { dense: "f32", moments: true } }),
  probe: (ops, { logits, teacher }) => {
    invariant(teacher.dense !== undefined, "a dense loss is given dense teacher logits");
    const [p, q] = [ops.softmax(teacher.dense, 1), ops.softmax(logits, 1)];
    return ops.reduceSum(ops.minimum(p, q), { axes: [1] });
  },
  parameters: ({ initial }) => ({
    agent: {
      shape: [AGENT_SIZE],
      initial: [...initial, ...Array<number>(AGENT_SIZE - STATE_SIZE).fill(0)],
    },
  }),
  columns: {
    names: ["temperature"],
    compute: (positions, chosen, progress, { agent }) => {
      invariant(agent !== undefined, "the loss is given its agent");
      const choices = chooseTemperatures(positions, agent, { ...chosen, progress });
      return [Float32Array.from(choices, ({ temperature }) => temperature)];
    },
  },
  observe: ({ options: chosen, value, progress, positions, parameters: { agent } }) => {
    invariant(agent !== undefined, "the loss is given its agent");
    if (!Number.isFinite(value) || positions.length === 0) return;
    // The agent is as it was when the step began, so that these are the choices that were made.
    const choices = chooseTemperatures(positions, agent, { ...chosen, progress });
    learnFromStep(agent, choices, meanPerformance(positions), chosen);
  },
  measures: {
    names: ["temperature"],
    compute: (_, { columns }) => [columns["temperature"]!],
  },
  perToken: (ops, { logits, teacher, columns }) => {
    const { temperature: given } = columns;
    invariant(
      teacher.dense !== undefined && given !== undefined,
      "the loss is given dense teacher logits and its column",
    );
    // Rows without a position have 0.
    const isGiven = ops.greater(given, ops.scalar(0));
    const temperature = ops.where(isGiven, given, ops.scalar(1));
    const column = ops.unsqueeze(temperature, 1);
    const pair = { teacher: column, student: column };
    const value = temperedKl(ops, { u: teacher.dense, v: logits }, pair, { byTemperatures: false });
    return ops.mul(ops.mul(temperature, temperature), value);
  },
};

function meanPerformance(positions: readonly MinibatchPosition[]): number {
  const weight = positions.reduce((sum, { coefficient }) => sum + coefficient, 0);
  return positions.reduce((sum, { coefficient, probe }) => sum + coefficient * probe, 0) / weight;
}
