import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";
import { z } from "zod";
import type {
  LossInputs,
  LossParameter,
  MinibatchPosition,
  TeacherTensors,
  TemperedTensors,
} from "./loss-definition.js";
import { configureLoss, type ConfiguredLoss } from "./loss-registry.js";
import { scheduleAt, scheduleSchema, type Schedule } from "./schedule.js";

/** `losses:` of a configuration: each entry a loss by name, its weight (a number or a schedule) and its own options beside them. */
export const lossesSchema = z
  .array(
    z.looseObject({
      name: z.string(),
      weight: scheduleSchema.default({ kind: "constant", value: 1 }),
    }),
  )
  .min(1, "name at least one loss");

export type LossesConfig = z.output<typeof lossesSchema>;

/** A merged request: what the teacher sends and what the student sends along. */
export interface SignalRequirement {
  readonly spec: SignalSpec;
  /** How many of its own best ids the student has scored at each position; 0 = none. */
  readonly studentTopK: number;
}

/** What the graph is fed for a loss set beside logits and targets; the teacher's temperatures by slot, not by name. */
export interface LossSetInputs<T> extends Omit<
  LossInputs<T>,
  "teacher" | "scalars" | "columns" | "parameters"
> {
  readonly teacher: Omit<TeacherTensors<T>, "tempered"> & {
    readonly tempered: readonly TemperedTensors<T>[];
  };
  /** f32 scalars in the order of `scalarsAt`. */
  readonly scalars: readonly T[];
  /** f32 [n] each, in the order of `columns`. */
  readonly columns: readonly T[];
  /** In the order of `parameters`. */
  readonly parameters: readonly T[];
}

/** A loss's parameter, named apart from the model's and from other losses'. */
export interface OwnedParameter extends LossParameter {
  /** `losses.INDEX.NAME`. */
  readonly name: string;
}

interface Member extends ConfiguredLoss {
  readonly weight: Schedule;
}

/** Several weighted losses as one: their merged requirement, and their values in the order in which they are configured. */
export class LossSet {
  /** What it was made of: plain data, from which another thread makes the same set. */
  readonly config: LossesConfig;
  readonly #members: readonly Member[];
  /** Distinct temperatures; the same schedule twice is one slot. */
  readonly #slots: readonly Schedule[];
  readonly #scalars: readonly {
    readonly member: number;
    readonly name: string;
    readonly schedule: Schedule;
  }[];

  constructor(config: LossesConfig) {
    this.config = config;
    this.#members = config.map(toMember);
    const slots = new Map<string, Schedule>();
    for (const { requirement } of this.#members) {
      for (const tau of Object.values(requirement.taus ?? {})) slots.set(slotKey(tau), tau);
    }
    this.#slots = [...slots.values()];
    this.#scalars = this.#members.flatMap(({ requirement }, member) =>
      Object.entries(requirement.scalars ?? {}).map(([name, schedule]) => ({
        member,
        name,
        schedule,
      })),
    );
  }

  /** For logs, made distinct: `forward-kl`, `forward-kl.2`. */
  get names(): readonly string[] {
    return this.#members.map(({ name }, index) => {
      const before = this.#members.slice(0, index).filter((other) => other.name === name).length;
      return before === 0 ? name : `${name}.${before + 1}`;
    });
  }

  get needsTeacher(): boolean {
    const { spec, studentTopK } = this.requirement(0);
    return studentTopK > 0 || JSON.stringify(spec) !== JSON.stringify(NO_SIGNAL);
  }

  /** Everything the losses need of the teacher at a point of the run. */
  requirement(progress: number): SignalRequirement {
    const parts = this.#members.map(({ requirement }) => requirement.signal ?? {});
    const largest = (pick: (part: Partial<SignalSpec>) => number | undefined) =>
      Math.max(0, ...parts.map((part) => pick(part) ?? 0));
    const any = (pick: (part: Partial<SignalSpec>) => boolean | undefined) =>
      parts.some((part) => pick(part) ?? false);
    return {
      spec: {
        topK: largest((part) => part.topK),
        lse: any((part) => part.lse),
        token: any((part) => part.token),
        moments: any((part) => part.moments),
        taus: this.#slots.map((slot) => scheduleAt(slot, progress)),
        draws: largest((part) => part.draws),
        dense: widestDense(parts),
        hiddenLayers: [],
      },
      studentTopK: Math.max(
        0,
        ...this.#members.map(({ requirement }) => requirement.studentTopK ?? 0),
      ),
    };
  }

  /** Weights of the losses at a point of the run, in their order. */
  weightsAt(progress: number): readonly number[] {
    return this.#members.map(({ weight }) => scheduleAt(weight, progress));
  }

  /** Values of all scheduled numbers at a point of the run. */
  scalarsAt(progress: number): readonly number[] {
    return this.#scalars.map(({ schedule }) => scheduleAt(schedule, progress));
  }

  /** All that the losses own and train. */
  get parameters(): readonly OwnedParameter[] {
    return this.#members.flatMap(({ parameters }, member) =>
      Object.entries(parameters).map(([name, own]) => ({
        ...own,
        name: `losses.${member}.${name}`,
      })),
    );
  }

  /** How many numbers per position `columns` computes. */
  get columnCount(): number {
    return this.#members.reduce((count, { columns }) => count + columns.names.length, 0);
  }

  /** How many losses must know each position under the current student before they see any (`probes`). */
  get probeCount(): number {
    return this.#members.filter(({ probe }) => probe !== undefined).length;
  }

  /** What those losses must know, f32 [n] each. `inputs.columns` is not read. */
  probes<T extends Tensor>(ops: TensorOps<T>, inputs: LossSetInputs<T>): readonly T[] {
    return this.#members.flatMap(({ probe }, index) =>
      probe === undefined ? [] : [probe(ops, { ...this.#inputsOf(index, inputs), columns: {} })],
    );
  }

  /** What the losses must know of the whole minibatch: a number for each position, in arrays of a fixed order. `probes` has the numbers
   * of `probes` for each position. */
  columns(
    positions: readonly Omit<MinibatchPosition, "probe">[],
    probes: readonly ArrayLike<number>[],
    progress: number,
  ): readonly Float32Array[] {
    let next = 0;
    return this.#members.flatMap(({ columns, probe }) => {
      const own = probe === undefined ? undefined : probes[next++];
      const known = positions.map((position, at) => ({ ...position, probe: own?.[at] ?? 0 }));
      return columns.names.length === 0 ? [] : columns.compute(known, progress);
    });
  }

  /** The unweighted loss of each position, f32 [n], for each loss. */
  perToken<T extends Tensor>(ops: TensorOps<T>, inputs: LossSetInputs<T>): readonly T[] {
    return this.#members.map((member, index) =>
      member.perToken(ops, this.#inputsOf(index, inputs)),
    );
  }

  /** The part that one loss sees, under its own names. */
  #inputsOf<T>(index: number, inputs: LossSetInputs<T>): LossInputs<T> {
    const { requirement } = this.#members[index]!;
    const tempered = Object.entries(requirement.taus ?? {}).map(
      ([name, tau]) => [name, inputs.teacher.tempered[this.#slotOf(tau)]] as const,
    );
    const scalars = this.#scalars.flatMap(({ member: owner, name }, at) =>
      owner === index ? [[name, inputs.scalars[at]] as const] : [],
    );
    return {
      ...inputs,
      teacher: {
        ...inputs.teacher,
        tempered: Object.fromEntries(tempered) as Record<string, TemperedTensors<T>>,
      },
      scalars: Object.fromEntries(scalars) as Record<string, T>,
      columns: this.#columnsOf(index, inputs.columns),
      parameters: this.#parametersOf(index, inputs.parameters),
    };
  }

  #columnsOf<T>(member: number, all: readonly T[]): Record<string, T> {
    const before = this.#members
      .slice(0, member)
      .reduce((count, { columns }) => count + columns.names.length, 0);
    const { names } = this.#members[member]!.columns;
    return Object.fromEntries(names.map((name, at) => [name, all[before + at]!]));
  }

  #parametersOf<T>(member: number, all: readonly T[]): Record<string, T> {
    const prefix = `losses.${member}.`;
    const owned = this.parameters.flatMap(({ name }, at) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), all[at]!] as const] : [],
    );
    return Object.fromEntries(owned);
  }

  #slotOf(tau: Schedule): number {
    return this.#slots.findIndex((slot) => slotKey(slot) === slotKey(tau));
  }
}

function slotKey(tau: Schedule): string {
  return JSON.stringify(tau);
}

function widestDense(parts: readonly Partial<SignalSpec>[]): SignalSpec["dense"] {
  if (parts.some((part) => part.dense === "f32")) return "f32";
  return parts.some((part) => part.dense === "f16") ? "f16" : "none";
}

function toMember({ name, weight, ...options }: LossesConfig[number], index: number): Member {
  return { ...configureLoss(name, options, `losses[${index}]`), weight };
}
