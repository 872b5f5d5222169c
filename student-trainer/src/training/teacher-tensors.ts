import { invariant } from "@tandem/shared/errors/invariant.js";
import type { LossSetInputs } from "../losses/loss-set.js";

/** The signal's inputs (`signalInputs`) in the shape in which losses look for them. */
export function teacherTensors<T>(
  fed: ReadonlyMap<string, T>,
  tauCount: number,
): LossSetInputs<T>["teacher"] {
  const need = (name: string): T => {
    const tensor = fed.get(name);
    invariant(tensor !== undefined, `the signal has an input ${name}`);
    return tensor;
  };
  const has = (name: string): boolean => fed.has(name);
  return {
    tempered: Array.from({ length: tauCount }, (_, slot) => ({
      tau: need(`tau.${slot}`),
      lse: need(`lseAt.${slot}`),
      ...(has(`logTailAt.${slot}`) && { logTail: need(`logTailAt.${slot}`) }),
    })),
    ...(has("lse") && { lse: need("lse") }),
    ...(has("top.ids") && {
      top: {
        ids: need("top.ids"),
        logits: need("top.logits"),
        lse: need("lse"),
        logTail: need("top.logTail"),
      },
    }),
    ...(has("token.logit") && { token: { logit: need("token.logit"), rank: need("token.rank") } }),
    ...(has("moments.mean") && {
      moments: {
        mean: need("moments.mean"),
        max: need("moments.max"),
        entropy: need("moments.entropy"),
      },
    }),
    ...(has("at.ids") && { at: { ids: need("at.ids"), logits: need("at.logits") } }),
    ...(has("draws.ids") && { draws: { ids: need("draws.ids"), counts: need("draws.counts") } }),
    ...(has("dense") && { dense: need("dense") }),
  };
}
