import { KEY_TAG, philox4x32 } from "./philox.js";

/** Third counter word; the streams of sampling are below 16, the shuffle of minibatches is 16. */
const INITIALISATION_STREAM = 17;

/** Standard normal numbers that depend on (seed, tensor) alone: Box–Muller on Philox, in pairs. */
export function fillNormal(
  values: Float32Array,
  { std, seed, tensor }: { std: number; seed: number; tensor: number },
): void {
  const words = new Uint32Array(4);
  for (let i = 0; i < values.length; i += 4) {
    philox4x32([tensor, i >>> 2, INITIALISATION_STREAM, 0], [seed, KEY_TAG], words);
    for (let pair = 0; pair < 2; pair++) {
      // In (0, 1], so that the logarithm is finite.
      const radius = Math.sqrt(-2 * Math.log(((words[2 * pair] as number) + 1) / 2 ** 32));
      const angle = (2 * Math.PI * (words[2 * pair + 1] as number)) / 2 ** 32;
      // Assigning past the end of a typed array does nothing.
      values[i + 2 * pair] = std * radius * Math.cos(angle);
      values[i + 2 * pair + 1] = std * radius * Math.sin(angle);
    }
  }
}
