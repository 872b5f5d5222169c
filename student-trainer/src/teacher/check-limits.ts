import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { isProjection, statePlace } from "@tandem/shared/wire/state-number.js";
import type { LossRequirement } from "../losses/loss-definition.js";
import type { AskingLoss } from "../losses/loss-set.js";
import { optionAsking } from "../losses/option-asking.js";
import { tauCount, type TeacherRequirement } from "../losses/signal-requirement.js";
import type { RolloutConfig } from "../rollout/rollout-config.js";
import type { TeacherDescription } from "./teacher-description.js";

export interface PlannedUse {
  /** Each of them may be asked. */
  readonly requirements: readonly TeacherRequirement[];
  /** The losses whose requirements these are. */
  readonly losses: readonly AskingLoss[];
  readonly rollout: Pick<RolloutConfig, "blockLength" | "concurrency">;
  /** Does the teacher judge drafts? */
  readonly drafts: boolean;
  /** Most positions of one question: of a draft, or of a whole response. */
  readonly questionRows: number;
  /** Tokens of the longest sequence, response included. */
  readonly longestRow: number;
  /** The option that says how long texts are. Default: that of rollouts. */
  readonly lengthField?: string;
}

/** Something that a teacher may have a limit for. */
interface Need {
  readonly value: number;
  readonly limit: number | undefined;
  /** The option that asks for it. */
  readonly field: string;
  /** The losses that do. */
  readonly losses?: readonly AskingLoss[];
  readonly what: string;
  readonly remedy: string;
}

const RESPONSE_FIELD = "rollout.maxResponse";

const DENSE_BYTES = { none: 0, f16: 2, f32: 4 } as const;

/** Compares what a run will ask for with what the teacher allows, before the first step.
 * @throws TandemError INVALID_ARGUMENT naming the loss, its option, the limit and what to do. */
export function checkTeacherLimits(teacher: TeacherDescription, use: PlannedUse): void {
  for (const requirement of use.requirements) {
    assertParts(teacher, use, requirement);
    assertWithin(teacher, [
      ...countNeeds(teacher, use, requirement),
      ...widthNeeds(teacher, use, requirement),
    ]);
  }
  assertWithin(teacher, textNeeds(teacher, use));
}

function assertWithin({ model }: TeacherDescription, needs: readonly Need[]): void {
  for (const { value, limit, field, losses = [], what, remedy } of needs) {
    if (limit === undefined || limit === 0 || value <= limit) continue;
    const names = losses.length === 0 ? "" : ` (${losses.map(({ name }) => name).join(", ")})`;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}${names}: the run needs ${value} ${what}, teacher "${model}" allows ${limit}; ${remedy}`,
      { field, limit },
    );
  }
}

/** Numbers that options of losses say. */
function countNeeds(
  { limits }: TeacherDescription,
  { losses }: PlannedUse,
  { spec, studentTopK }: TeacherRequirement,
): readonly Need[] {
  const need = (
    value: number,
    limit: number | undefined,
    { what, flag, of }: { what: string; flag: string; of: (own: LossRequirement) => unknown },
  ): Need => {
    const asking = losses.find(({ requirement }) => of(requirement) === value);
    const { option, field } = optionAsking(value, asking ?? { field: "losses", options: {} });
    const remedy = `set ${option} to at most ${limit}, or raise ${flag} of the teacher`;
    return { value, limit, field, losses: asking === undefined ? [] : [asking], what, remedy };
  };
  return [
    need(spec.topK, limits?.maxTopK, {
      what: "ids per position",
      flag: "--max-logprobs",
      of: ({ signal }) => signal?.topK,
    }),
    need(studentTopK, limits?.maxAtIds, {
      what: "student ids per position",
      flag: "--max-at-ids",
      of: (own) => own.studentTopK,
    }),
    need(spec.draws, limits?.maxDraws, {
      what: "draws per position",
      flag: "--max-draws",
      of: ({ signal }) => signal?.draws,
    }),
  ];
}

/** What follows from several losses, or from sizes. */
function widthNeeds(
  { limits, vocabSize, layers }: TeacherDescription,
  { losses, questionRows, lengthField = RESPONSE_FIELD }: PlannedUse,
  requirement: TeacherRequirement,
): readonly Need[] {
  const { spec } = requirement;
  const deepest = Math.max(0, ...spec.hiddenLayers.map((number) => statePlace(number).layer));
  const asking = (of: (own: LossRequirement) => boolean) => {
    const found = losses.filter((loss) => of(loss.requirement));
    return { field: found[0]?.field ?? "losses", losses: found };
  };
  return [
    {
      ...asking((own) => (own.taus ?? own.positionTaus) !== undefined),
      value: tauCount(requirement),
      limit: limits?.maxTaus,
      what: "temperatures per position",
      remedy:
        "give the losses equal temperatures, leave one out, or raise --max-taus of the teacher",
    },
    {
      ...asking(({ signal }) => (signal?.dense ?? "none") !== "none"),
      value: DENSE_BYTES[spec.dense] * vocabSize * questionRows,
      limit: limits?.maxDenseBytes,
      what: "bytes of logits at once (dense)",
      remedy: `take a list of ids instead of all, lower ${lengthField}, or raise --max-dense-bytes of the teacher`,
    },
    {
      ...asking(
        ({ signal }) =>
          signal?.hiddenLayers?.some((number) => statePlace(number).layer === deepest) ?? false,
      ),
      value: deepest,
      limit: layers,
      what: "as hidden layer",
      remedy: "name one that the teacher has",
    },
  ];
}

function textNeeds(
  { limits, contextLength }: TeacherDescription,
  { rollout, drafts, longestRow, lengthField = RESPONSE_FIELD }: PlannedUse,
): readonly Need[] {
  const length = {
    value: longestRow,
    limit: contextLength,
    field: lengthField,
    what: "positions per sequence",
    remedy: `lower ${lengthField}, or take shorter prompts`,
  };
  if (!drafts) return [length];
  const { blockLength, concurrency } = rollout;
  return [
    length,
    {
      value: blockLength,
      limit: limits?.maxDraftTokens,
      field: "rollout.blockLength",
      what: "drafts per block",
      remedy: "lower it, or raise --max-draft-tokens of the teacher",
    },
    {
      value: concurrency,
      limit: limits?.maxSequences,
      field: "rollout.concurrency",
      what: "open sequences",
      remedy: "lower it, or raise --max-sequences of the teacher",
    },
  ];
}

/** A server that does not say what it gives gives whatever it is asked for, or refuses by itself. */
function assertParts(
  { model, signalParts }: TeacherDescription,
  { losses }: PlannedUse,
  requirement: TeacherRequirement,
): void {
  const missing = partsOf(requirement).filter((part) => !signalParts.includes(part));
  if (signalParts.length === 0 || missing.length === 0) return;
  const asking = losses.filter(
    ({ requirement: { signal, studentTopK } }) => (signal ?? studentTopK) !== undefined,
  );
  const named = asking.map(({ field, name }) => `${field} (${name})`).join(", ");
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${named}: the run needs ${missing.join(", ")} of the signal, teacher "${model}" gives ${signalParts.join(", ")}; choose another loss, or options with which it needs less`,
    { field: asking.length === 1 ? asking[0]!.field : "losses" },
  );
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
