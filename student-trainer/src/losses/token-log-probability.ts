import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import type { LossInputs, MinibatchPosition } from "./loss-definition.js";
import { signalPart } from "./signal-part.js";

/** log q of the token at the position, f32 [n]. */
export function tokenLogProbability<T extends Tensor>(ops: TensorOps<T>, inputs: LossInputs<T>): T {
  return tokenLogProbabilityBeside(ops, inputs, inputs.logits);
}

/** The same where the student's logits, merged into atoms f32 [n,A], are there anyhow: they have the same normaliser. */
export function tokenLogProbabilityBeside<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, targets }: LossInputs<T>,
  atoms: T,
): T {
  const chosen = ops.takeAlongAxis(logits, ops.unsqueeze(targets, 1), 1); // [n,1]
  return ops.sub(ops.squeeze(chosen, 1), ops.logSumExp(atoms, 1));
}

/** log p of the token at the position; needs the signal's `token`, and `lse` unless it holds log-probabilities. */
export function teacherLogProbability({ signal, row }: MinibatchPosition): number {
  const logits = signalPart(signal?.tokenLogit, "the teacher's logit of the token");
  return signal?.logProbs ? logits[row]! : logits[row]! - signalPart(signal?.lse, "lse")[row]!;
}
