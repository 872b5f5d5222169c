import type { LlamaConfig, RopeScaling } from "../checkpoint/model-config.js";

/** cos and sin [N, d/2] of the rotary angles of N positions.
 *
 * Frequencies and angles are rounded to f32 as `transformers` does, because that is what the models were trained with
 * (at position 8,000 an exact angle would differ by 5e-4); cosine and sine are then taken in float64. */
export function rotaryAngles(
  config: LlamaConfig,
  positions: ArrayLike<number>,
): { readonly cos: Float32Array; readonly sin: Float32Array } {
  const frequencies = rotaryFrequencies(config);
  const half = frequencies.length;
  const cos = new Float32Array(positions.length * half);
  const sin = new Float32Array(positions.length * half);
  for (let n = 0; n < positions.length; n++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(positions[n]! * frequencies[i]!);
      cos[n * half + i] = Math.cos(angle);
      sin[n * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/** f32 [d/2]: radians per position for each pair of a head, scaling applied. Su et al. 2021, eq. 15; Llama 3.1's scaling as in `transformers` (modeling_rope_utils). */
export function rotaryFrequencies({
  headDim,
  rope,
}: Pick<LlamaConfig, "headDim" | "rope">): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const exponent = Math.fround((2 * i) / headDim);
    return scaled(Math.fround(1 / Math.fround(rope.theta ** exponent)), rope.scaling);
  });
}

function scaled(frequency: number, scaling: RopeScaling): number {
  switch (scaling.kind) {
    case "none":
      return frequency;
    case "linear":
      return frequency / scaling.factor;
    case "llama3": {
      const { factor, lowFreqFactor, highFreqFactor, originalContextLength } = scaling;
      const turns = (originalContextLength * frequency) / (2 * Math.PI);
      if (turns < lowFreqFactor) return frequency / factor;
      if (turns > highFreqFactor) return frequency;
      const smooth = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
      return (1 - smooth) * (frequency / factor) + smooth * frequency;
    }
  }
}
