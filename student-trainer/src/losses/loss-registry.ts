import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { crossEntropy } from "./cross-entropy.js";
import { forwardKl } from "./forward-kl.js";
import { generalizedJsd } from "./generalized-jsd.js";
import { adakd } from "./adakd.js";
import { akl } from "./akl.js";
import { atkd } from "./atkd.js";
import { cesKd } from "./ces-kd.js";
import { cmkd } from "./cmkd.js";
import { continuationKd } from "./continuation-kd.js";
import { ctkd } from "./ctkd.js";
import { dacKl } from "./dac-kl.js";
import { dist } from "./dist.js";
import { distillm2 } from "./distillm-2.js";
import { dpkd } from "./dpkd.js";
import { dtkd } from "./dtkd.js";
import { gold } from "./gold.js";
import { attentionRelations } from "./attention-relations.js";
import { hiddenRelations } from "./hidden-relations.js";
import { hiddenStates } from "./hidden-states.js";
import { minillm } from "./minillm.js";
import { itkd } from "./itkd.js";
import { kdNas } from "./kd-nas.js";
import { okd } from "./okd.js";
import { ranking } from "./ranking.js";
import { rlkd } from "./rlkd.js";
import { rsKd } from "./rs-kd.js";
import { sampledReverseKl } from "./sampled-reverse-kl.js";
import { skewForwardKl } from "./skew-forward-kl.js";
import { skewReverseKl } from "./skew-reverse-kl.js";
import { spanProducts } from "./span-products.js";
import { speckd } from "./speckd.js";
import { swing } from "./swing.js";
import { teacherMixture } from "./teacher-mixture.js";
import { totalVariation } from "./total-variation.js";
import { truncatedForwardKl } from "./truncated-forward-kl.js";
import { uld } from "./uld.js";
import type {
  LossDefinition,
  LossInputs,
  LossParameter,
  LossRequirement,
  MinibatchPosition,
  OwnNumbers,
  StepOutcome,
} from "./loss-definition.js";
import { EXAMPLE_SIZES, type ModelSizes } from "./model-sizes.js";
import { reverseKl } from "./reverse-kl.js";
import { unreadOption } from "./unread-options.js";

/** A loss whose options are chosen. */
export interface ConfiguredLoss {
  readonly name: string;
  /** With their defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly requirement: (sizes: ModelSizes) => LossRequirement;
  /** May it be given several teachers? */
  readonly takesSeveralTeachers: boolean;
  /** An option that has an entry for each teacher. */
  readonly perTeacher: { readonly option: string; readonly count: number } | undefined;
  readonly parameters: (sizes: ModelSizes) => Readonly<Record<string, LossParameter>>;
  readonly columns: {
    readonly names: readonly string[];
    readonly compute: (
      positions: readonly MinibatchPosition[],
      progress: number,
      parameters: OwnNumbers,
    ) => readonly Float32Array[];
  };
  readonly probe: (<T extends Tensor>(ops: TensorOps<T>, inputs: LossInputs<T>) => T) | undefined;
  readonly observe: ((outcome: Omit<StepOutcome<unknown>, "options">) => void) | undefined;
  readonly measures: {
    readonly names: readonly string[];
    readonly compute: <T extends Tensor>(ops: TensorOps<T>, inputs: LossInputs<T>) => readonly T[];
  };
  readonly perToken: <T extends Tensor>(ops: TensorOps<T>, inputs: LossInputs<T>) => T;
}

/** A loss as people see it. */
export interface LossDescription {
  readonly name: string;
  readonly summary: string;
  readonly source: string;
  readonly options: z.ZodType;
  /** With default options. */
  readonly requires: LossRequirement;
}

interface RegistryEntry {
  readonly name: string;
  readonly describe: () => LossDescription;
  readonly configure: (options: unknown, field: string) => ConfiguredLoss;
}

/** Every loss, by its exact name. A new loss is its file and one line here. */
const ENTRIES: readonly RegistryEntry[] = [
  entry(crossEntropy),
  entry(forwardKl),
  entry(reverseKl),
  entry(generalizedJsd),
  entry(skewForwardKl),
  entry(skewReverseKl),
  entry(distillm2),
  entry(totalVariation),
  entry(akl),
  entry(adakd),
  entry(dist),
  entry(dtkd),
  entry(ctkd),
  entry(itkd),
  entry(atkd),
  entry(ranking),
  entry(rlkd),
  entry(continuationKd),
  entry(speckd),
  entry(dpkd),
  entry(uld),
  entry(dacKl),
  entry(spanProducts),
  entry(swing),
  entry(okd),
  entry(gold),
  entry(teacherMixture),
  entry(cesKd),
  entry(cmkd),
  entry(hiddenStates),
  entry(hiddenRelations),
  entry(attentionRelations),
  entry(kdNas),
  entry(sampledReverseKl),
  entry(minillm),
  entry(rsKd),
  entry(truncatedForwardKl),
];

export const LOSS_NAMES: readonly string[] = ENTRIES.map(({ name }) => name);

export function describeLosses(): readonly LossDescription[] {
  return ENTRIES.map(({ describe }) => describe());
}

/** The loss `name` with the options of a configuration; `field` is where they were written, for messages.
 * @throws TandemError INVALID_ARGUMENT for an unknown name or wrong options. */
export function configureLoss(name: string, options: unknown, field: string): ConfiguredLoss {
  const found = ENTRIES.find((candidate) => candidate.name === name);
  if (found === undefined) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}: there is no loss "${name}"; the names are ${LOSS_NAMES.join(", ")}`,
      { field: `${field}.name` },
    );
  }
  return found.configure(options, field);
}

function probeOf<Options>(
  { probe, needsProbe }: LossDefinition<Options>,
  options: Options,
): ConfiguredLoss["probe"] {
  if (probe === undefined || needsProbe?.(options) === false) return undefined;
  return (ops, inputs) => probe(ops, inputs, options);
}

function entry<Options>(definition: LossDefinition<Options>): RegistryEntry {
  const { name } = definition;
  const configure = (raw: unknown, field: string): ConfiguredLoss => {
    const parsed = definition.options.safeParse(raw);
    if (!parsed.success) {
      const problem = z.prettifyError(parsed.error);
      const isUnknown = parsed.error.issues.some(({ code }) => code === "unrecognized_keys");
      const known = isUnknown ? `; its options are ${optionNames(definition.options)}` : "";
      throw new TandemError("INVALID_ARGUMENT", `${field} (${name}): ${problem}${known}`, {
        field,
      });
    }
    const options = parsed.data;
    assertRead(definition, options, field);
    return {
      name,
      options: options as Readonly<Record<string, unknown>>,
      requirement: (sizes) => definition.requires(options, sizes),
      takesSeveralTeachers: definition.teachers === "several",
      perTeacher: definition.perTeacher?.(options),
      parameters: (sizes) => definition.parameters?.(options, sizes) ?? {},
      columns: {
        names: columnNames(definition, options),
        compute: (positions, progress, parameters) =>
          definition.columns?.compute(positions, options, progress, parameters) ?? [],
      },
      probe: probeOf(definition, options),
      observe: definition.observe && ((outcome) => definition.observe!({ ...outcome, options })),
      measures: {
        names: definition.measures?.names ?? [],
        compute: (ops, inputs) => definition.measures?.compute(ops, inputs, options) ?? [],
      },
      perToken: (ops, inputs) => definition.perToken(ops, inputs, options),
    };
  };
  const describe = (): LossDescription => ({
    name,
    summary: definition.summary,
    source: definition.source,
    options: definition.options,
    requires: definition.requires(definition.options.parse({}), EXAMPLE_SIZES),
  });
  return { name, configure, describe };
}

/** @throws TandemError INVALID_ARGUMENT for an option that would do nothing. */
function assertRead<Options>(
  { name, readWith, options: schema }: LossDefinition<Options>,
  options: Options,
  field: string,
): void {
  if (readWith === undefined) return;
  const given = options as Readonly<Record<string, unknown>>;
  const defaults = schema.parse({}) as Readonly<Record<string, unknown>>;
  const problem = unreadOption(readWith, given, defaults);
  if (problem === undefined) return;
  throw new TandemError("INVALID_ARGUMENT", `${field} (${name}): ${problem}`, { field });
}

function columnNames<Options>(
  { columns }: LossDefinition<Options>,
  options: Options,
): readonly string[] {
  const names = columns?.names ?? [];
  return typeof names === "function" ? names(options) : names;
}

/** Of a loss, and of every loss. */
function optionNames(options: z.ZodType): string {
  const own = options instanceof z.ZodObject ? Object.keys(options.shape) : [];
  return [...own, "weight", "teacher"].join(", ");
}
