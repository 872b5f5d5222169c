import type { HeadRequest } from "./step.js";

/** Whether a request wants any part of a signal, beside verdicts and sampled tokens. */
export function asksForSignal({ spec, taus, atIds }: HeadRequest): boolean {
  return (
    taus !== undefined ||
    atIds !== undefined ||
    spec.topK > 0 ||
    spec.lse ||
    spec.token ||
    spec.moments ||
    spec.taus.length > 0 ||
    spec.draws > 0 ||
    spec.dense !== "none" ||
    spec.hiddenLayers.length > 0
  );
}
