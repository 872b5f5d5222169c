import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { LossParameter, LossRequirement } from "./loss-definition.js";
import { configureLoss, type ConfiguredLoss } from "./loss-registry.js";
import { teachersOfLoss, type TeacherName } from "./loss-teachers.js";
import { EXAMPLE_SIZES, type ModelSize, type ModelSizes, type RunSizes } from "./model-sizes.js";
import { optionAsking } from "./option-asking.js";
import type { Schedule } from "./schedule.js";

/** One loss of a set: what it is among models of known sizes, its weight and its teachers. */
export interface LossMember extends Omit<ConfiguredLoss, "requirement" | "parameters"> {
  readonly requirement: LossRequirement;
  readonly parameters: Readonly<Record<string, LossParameter>>;
  readonly sizes: ModelSizes;
  readonly weight: Schedule;
  /** In the loss's order; never empty. */
  readonly teachers: readonly TeacherName[];
}

/** An entry of `losses:`, its own options beside the rest. */
interface LossEntry {
  readonly name: string;
  readonly weight: Schedule;
  readonly teacher?: TeacherName;
  readonly teachers?: readonly string[] | undefined;
  readonly [option: string]: unknown;
}

/** @throws TandemError INVALID_ARGUMENT for an unknown loss, wrong options or teachers; FAILED_PRECONDITION for a teacher with another
 * tokenizer, if the loss needs the student's. */
export function toMember(
  { name, weight, teacher, teachers, ...options }: LossEntry,
  index: number,
  sizes: RunSizes | undefined,
): LossMember {
  const field = `losses[${index}]`;
  const loss = configureLoss(name, options, field);
  const named = teachersOfLoss(loss, { teacher, teachers }, field);
  const own = { ...(sizes ?? EXAMPLE_SIZES), teacher: teacherSize(sizes, named[0]) };
  const known = sizes === undefined ? unsized(loss) : sized(loss, own);
  if (own.teacher.translation !== undefined) assertAcross(name, known.requirement, field);
  return { ...loss, ...known, sizes: own, weight, teachers: named };
}

/** @throws TandemError FAILED_PRECONDITION for a loss that compares laws id by id. */
function assertAcross(
  name: string,
  { signal, studentTopK, acrossTokenizers = false }: LossRequirement,
  field: string,
): void {
  if (acrossTokenizers || (signal === undefined && studentTopK === undefined)) return;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `${field} (${name}): the teacher has another tokenizer, and the loss compares laws over one vocabulary; take gold, or a teacher with the student's tokenizer`,
    { field },
  );
}

type SizedParts = Pick<LossMember, "requirement" | "parameters">;

function sized(loss: ConfiguredLoss, sizes: ModelSizes): SizedParts {
  return { requirement: loss.requirement(sizes), parameters: loss.parameters(sizes) };
}

/** What a loss asks of models that are not known yet. Only losses on hidden states depend on sizes: options that the example does not
 * fit may fit the run's models. */
function unsized(loss: ConfiguredLoss): SizedParts {
  try {
    return sized(loss, EXAMPLE_SIZES);
  } catch {
    return { requirement: { signal: { hiddenLayers: [0] }, studentLayers: [0] }, parameters: {} };
  }
}

/** Of the row's teacher, or of one that losses name. */
export function teacherSize(sizes: RunSizes | undefined, teacher: TeacherName): ModelSize {
  const { named, teacher: own } = sizes ?? EXAMPLE_SIZES;
  return (teacher === undefined ? undefined : named?.[teacher]) ?? own;
}

/** @throws TandemError INVALID_ARGUMENT when a loss asks for a list of more ids, or counts more, than the vocabulary, or the teacher's own, has. */
export function assertListFits(
  { name, options, requirement: { signal, studentTopK = 0, ranks = 0 }, sizes }: LossMember,
  index: number,
  vocabulary: number,
): void {
  const longest = Math.max(signal?.topK ?? 0, studentTopK, ranks);
  const limit = sizes.teacher.translation?.vocabulary ?? vocabulary;
  if ((signal?.topPMass ?? 1) < 1 && longest >= vocabulary) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `losses[${index}] (${name}): topPMass ends lists within the vocabulary, and topK ${longest} is all of it; leave topPMass out or set topK below ${vocabulary}`,
      { field: `losses[${index}].topPMass`, limit: vocabulary - 1 },
    );
  }
  if (longest <= limit) return;
  const { option, field } = optionAsking(longest, { field: `losses[${index}]`, options });
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${field} (${name}): a list of ${longest} ids exceeds the vocabulary of ${limit}; set ${option} to at most ${limit}`,
    { field, limit },
  );
}
