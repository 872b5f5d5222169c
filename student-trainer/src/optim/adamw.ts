import { invariant } from "@tandem/shared/errors/invariant.js";
import type { OptimizerConfig } from "./optimizer-config.js";

/** A trainable tensor: updated where it lies. */
export interface TrainableParameter {
  readonly name: string;
  readonly values: Float32Array;
  /** Weight decay applies. */
  readonly decay: boolean;
}

/** First and second moment of a parameter, by its name. */
export interface Moments {
  readonly first: Float32Array;
  readonly second: Float32Array;
}

export interface AdamWStep {
  readonly gradients: ReadonlyMap<string, Float32Array>;
  readonly learningRate: number;
  /** Multiplies all gradients: the clip factor. */
  readonly gradientScale: number;
}

type AdamWConfig = Pick<OptimizerConfig, "beta1" | "beta2" | "epsilon" | "weightDecay">;

/** AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) as `torch.optim.AdamW` computes it: the decay
 * w ← w·(1 − lr·λ) first, bias-corrected moments, ε outside the root. Weights and moments are kept in f32 and updated in place;
 * arithmetic between load and store is float64, so the result is the same on every machine. */
export class AdamW {
  readonly #config: AdamWConfig;
  readonly #parameters: readonly TrainableParameter[];
  readonly #moments: ReadonlyMap<string, Moments>;
  #steps = 0;

  constructor(parameters: readonly TrainableParameter[], config: AdamWConfig) {
    this.#config = config;
    this.#parameters = parameters;
    this.#moments = new Map(
      parameters.map(({ name, values }) => [
        name,
        { first: new Float32Array(values.length), second: new Float32Array(values.length) },
      ]),
    );
  }

  /** Steps taken. */
  get steps(): number {
    return this.#steps;
  }

  /** The moments themselves, not copies. */
  get moments(): ReadonlyMap<string, Moments> {
    return this.#moments;
  }

  /** Continues where another one stopped; the moments are copied in. */
  restore(steps: number, moments: ReadonlyMap<string, Moments>): void {
    for (const [name, { first, second }] of this.#moments) {
      const saved = moments.get(name);
      invariant(saved !== undefined, `there are moments for ${name}`);
      first.set(saved.first);
      second.set(saved.second);
    }
    this.#steps = steps;
  }

  step({ gradients, learningRate, gradientScale }: AdamWStep): void {
    const { beta1, beta2, epsilon, weightDecay } = this.#config;
    this.#steps += 1;
    const correction1 = 1 - beta1 ** this.#steps;
    const correction2 = Math.sqrt(1 - beta2 ** this.#steps);
    for (const { name, values, decay } of this.#parameters) {
      const gradient = gradients.get(name);
      const moments = this.#moments.get(name);
      invariant(
        gradient?.length === values.length && moments,
        `${name} has a gradient of its size`,
      );
      update(values, gradient, moments, {
        gradientScale,
        beta1,
        beta2,
        keep: 1 - learningRate * (decay ? weightDecay : 0),
        rate: learningRate / correction1,
        inverseCorrection2: 1 / correction2,
        epsilon,
      });
    }
  }
}

interface UpdateFactors {
  readonly gradientScale: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly keep: number;
  readonly rate: number;
  readonly inverseCorrection2: number;
  readonly epsilon: number;
}

/** One pass over weight, gradient and moments: nothing leaves the cache between the parts of the update. */
function update(
  values: Float32Array,
  gradient: Float32Array,
  { first, second }: Moments,
  factors: UpdateFactors,
): void {
  const { gradientScale, beta1, beta2, keep, rate, inverseCorrection2, epsilon } = factors;
  const rest1 = 1 - beta1;
  const rest2 = 1 - beta2;
  for (let i = 0; i < values.length; i++) {
    const g = (gradient[i] as number) * gradientScale;
    const m = beta1 * (first[i] as number) + rest1 * g;
    const v = beta2 * (second[i] as number) + rest2 * g * g;
    first[i] = m;
    second[i] = v;
    values[i] =
      (values[i] as number) * keep - (rate * m) / (Math.sqrt(v) * inverseCorrection2 + epsilon);
  }
}
