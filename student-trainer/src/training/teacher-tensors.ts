import { invariant } from "@tandem/shared/errors/invariant.js";
import type { LossSetInputs, SlottedTensors } from "../losses/loss-set-inputs.js";
import {
  tauCount,
  type SignalRequirement,
  type TeacherRequirement,
} from "../losses/signal-requirement.js";
import { inputName } from "./signal-inputs.js";

/** The signals' inputs (`signalInputs`) in the shape in which losses look for them. */
export function teacherTensors<T>(
  fed: ReadonlyMap<string, T>,
  requirement: SignalRequirement,
): Pick<LossSetInputs<T>, "teacher" | "named"> {
  const named = Object.entries(requirement.named ?? {}).map(
    ([name, own]) => [name, tensorsOf(fed, own, name)] as const,
  );
  return {
    teacher: tensorsOf(fed, requirement, undefined),
    named: Object.fromEntries(named),
  };
}

function tensorsOf<T>(
  fed: ReadonlyMap<string, T>,
  requirement: TeacherRequirement,
  teacher: string | undefined,
): SlottedTensors<T> {
  const { hiddenLayers } = requirement.spec;
  const need = (name: string): T => {
    const tensor = fed.get(inputName(name, teacher));
    invariant(tensor !== undefined, `the signal has an input ${inputName(name, teacher)}`);
    return tensor;
  };
  const has = (name: string): boolean => fed.has(inputName(name, teacher));
  return {
    tempered: Array.from({ length: tauCount(requirement) }, (_, slot) => ({
      tau: need(`tau.${slot}`),
      lse: need(`lseAt.${slot}`),
      ...(has(`logTailAt.${slot}`) && { logTail: need(`logTailAt.${slot}`) }),
    })),
    ...(has("lse") && { lse: need("lse") }),
    ...(has("top.logProbs") && {
      topLogProbs: {
        ...(has("top.ids") && { ids: need("top.ids") }),
        values: need("top.logProbs"),
      },
    }),
    ...(has("top.logits") && {
      top: {
        ids: need("top.ids"),
        logits: need("top.logits"),
        lse: need("lse"),
        logTail: need("top.logTail"),
        ...(has("top.used") && { used: need("top.used") }),
        ...(has("top.matched") && { matched: need("top.matched") }),
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
    ...(has("draws.ids") && {
      draws: {
        ids: need("draws.ids"),
        counts: need("draws.counts"),
        ...(has("draws.weights") && { weights: need("draws.weights") }),
      },
    }),
    ...(has("dense") && { dense: need("dense") }),
    ...(hiddenLayers.length > 0 && {
      hidden: new Map(hiddenLayers.map((layer) => [layer, need(`hidden.${layer}`)])),
    }),
  };
}
