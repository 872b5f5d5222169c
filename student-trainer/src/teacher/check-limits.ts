import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { isProjection, statePlace } from "@tandem/shared/wire/state-number.js";
import { tauCount, type TeacherRequirement } from "../losses/signal-requirement.js";
import type { RolloutConfig } from "../rollout/rollout-config.js";
import type { TeacherDescription } from "./teacher-description.js";

export interface PlannedUse {
  /** Each of them may be asked. */
  readonly requirements: readonly TeacherRequirement[];
  readonly rollout: Pick<RolloutConfig, "blockLength" | "concurrency">;
  /** Does the teacher judge drafts? */
  readonly drafts: boolean;
  /** Most positions of one question: of a draft, or of a whole response. */
  readonly questionRows: number;
  /** Tokens of the longest sequence, response included. */
  readonly longestRow: number;
  /** The options that ask, for messages. Default: those of losses and rollouts. */
  readonly fields?: { readonly losses: string; readonly length: string };
}

const FIELDS = { losses: "losses", length: "rollout.maxResponse" };

const DENSE_BYTES = { none: 0, f16: 2, f32: 4 } as const;

/** Compares what a run will ask for with what the teacher allows, before the first step.
 * @throws TandemError INVALID_ARGUMENT naming the option and the limit. */
export function checkTeacherLimits(
  { limits, contextLength, vocabSize, layers, model, signalParts }: TeacherDescription,
  { requirements, rollout, drafts, questionRows, longestRow, fields = FIELDS }: PlannedUse,
): void {
  const within = (value: number, limit: number | undefined, field: string, what: string): void => {
    if (limit === undefined || limit === 0 || value <= limit) return;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}: the run needs ${value} ${what}, teacher "${model}" allows ${limit}`,
      { field, limit },
    );
  };
  for (const requirement of requirements) {
    const missing = partsOf(requirement).filter((part) => !signalParts.includes(part));
    // A server that does not say gives whatever it is asked for, or refuses by itself.
    if (signalParts.length > 0 && missing.length > 0) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${fields.losses}: the run needs ${missing.join(", ")} of the signal, teacher "${model}" gives ${signalParts.join(", ")}; choose another loss, or options with which it needs less`,
        { field: fields.losses },
      );
    }
    const { spec, studentTopK } = requirement;
    within(
      spec.topK,
      vocabSize,
      `${fields.losses}.topK`,
      "ids per position (the vocabulary's size)",
    );
    within(spec.topK, limits?.maxTopK, `${fields.losses}.topK`, "ids per position");
    within(tauCount(requirement), limits?.maxTaus, "losses.temperature", "temperatures");
    within(spec.draws, limits?.maxDraws, "losses.draws", "draws per position");
    within(studentTopK, limits?.maxAtIds, "losses", "student ids per position");
    const denseBytes = DENSE_BYTES[spec.dense] * vocabSize * questionRows;
    within(denseBytes, limits?.maxDenseBytes, fields.losses, "bytes of logits at once (dense)");
    const deepest = spec.hiddenLayers.map((number) => statePlace(number).layer);
    within(Math.max(0, ...deepest), layers, "losses", "as hidden layer");
  }
  within(longestRow, contextLength, fields.length, "positions per sequence");
  if (!drafts) return;
  within(rollout.blockLength, limits?.maxDraftTokens, "rollout.blockLength", "drafts per block");
  within(rollout.concurrency, limits?.maxSequences, "rollout.concurrency", "open sequences");
}

/** Parts of the signal, by the names that `Describe` uses. */
function partsOf(requirement: TeacherRequirement): readonly string[] {
  const { spec, studentTopK } = requirement;
  const asked: Readonly<Record<string, boolean>> = {
    top: spec.topK > 0,
    lse: spec.lse,
    taus: tauCount(requirement) > 0,
    token: spec.token,
    at: studentTopK > 0,
    moments: spec.moments,
    draws: spec.draws > 0,
    log_probs: spec.logProbs || spec.omitTopIds,
    draw_weights: spec.draws > 0 && spec.drawTemperature !== 1,
    dense: spec.dense !== "none",
    hidden: spec.hiddenLayers.length > 0,
    projections: spec.hiddenLayers.some(isProjection),
  };
  return Object.keys(asked).filter((part) => asked[part]);
}
