import { hash32 } from "@tandem/shared/numeric/hash32.js";

/** Vocabulary of the toy models; id 0 ends a text. */
export const TOY_VOCABULARY = 11;
export const TOY_STOP = 0;

/** A language model without weights: logits are hashes of the whole context, so one wrong token anywhere changes everything behind it. */
export function toyLogits(context: ArrayLike<number>, salt: number): Float32Array {
  const words = Array.from(context);
  return Float32Array.from(
    { length: TOY_VOCABULARY },
    (_, id) => (5 * hash32([...words, id], salt)) / 2 ** 32,
  );
}

export const TOY_STUDENT = 1;
export const TOY_TEACHER = 2;
