import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { stateWidth } from "@tandem/shared/wire/state-number.js";
import { z } from "zod";
import type {
  LossInputs,
  LossRequirement,
  MinibatchPosition,
  PositionTemperature,
  TeacherTensors,
  TemperedTensors,
} from "./loss-definition.js";
import { assertListFits, teacherSize, toMember, type LossMember } from "./loss-member.js";
import type {
  LossSetInputs,
  MinibatchMoment,
  OwnedParameter,
  SeenPositions,
} from "./loss-set-inputs.js";
import { mergeSpecs, union } from "./merge-specs.js";
import type { RunSizes } from "./model-sizes.js";
import { lossTeachersShape, type TeacherName } from "./loss-teachers.js";
import {
  asksAnything,
  type SignalRequirement,
  type TeacherRequirement,
} from "./signal-requirement.js";
import { boundedSchedule, scheduleAt, type Schedule } from "./schedule.js";

/** `losses:` of a configuration: each entry a loss by name, its weight (a number or a schedule) and its own options beside them. */
export const lossesSchema = z
  .array(
    z.looseObject({
      name: z.string(),
      weight: boundedSchedule(0).default({ kind: "constant", value: 1 }),
      ...lossTeachersShape,
    }),
  )
  .min(1, "name at least one loss");

export type LossesConfig = z.output<typeof lossesSchema>;

/** A loss with its place in the configuration. */
export interface AskingLoss {
  readonly field: string;
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly requirement: LossRequirement;
}

/** Several weighted losses as one: their merged requirement, and their values in the order in which they are configured. */
export class LossSet {
  /** What it was made of: plain data, from which another thread makes the same set. */
  readonly config: LossesConfig;
  /** Of the models; undefined where they are not known yet: then nothing can be computed that depends on them. */
  readonly sizes: RunSizes | undefined;
  readonly #members: readonly LossMember[];
  /** Distinct temperatures of each teacher; the same schedule twice is one slot. */
  readonly #slots: ReadonlyMap<TeacherName, readonly Schedule[]>;
  readonly #scalars: readonly {
    readonly member: number;
    readonly name: string;
    readonly schedule: Schedule;
  }[];

  constructor(config: LossesConfig, sizes?: RunSizes) {
    this.config = config;
    this.sizes = sizes;
    this.#members = config.map((own, index) => toMember(own, index, sizes));
    const named = this.#members.flatMap(({ teachers }) => teachers);
    this.#slots = new Map([undefined, ...named].map((name) => [name, this.#slotsFor(name)]));
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

  /** Is anything asked of the row's teacher? */
  get needsRowTeacher(): boolean {
    return asksAnything(this.requirement(0));
  }

  /** Is anything asked of any teacher? */
  get needsTeacher(): boolean {
    return this.needsRowTeacher || this.teacherNames.length > 0;
  }

  /** Does what a teacher is asked depend on the student: on its own best ids, or its moments? */
  get asksByStudent(): boolean {
    const byMoments = this.#members.some(({ requirement }) => requirement.positionTaus);
    return byMoments || longestList(this.#members) > 0;
  }

  /** Is any teacher asked for its logits over all ids? */
  get asksAllLogits(): boolean {
    const { named = {}, ...own } = this.requirement(0);
    return [own, ...Object.values(named)].some(({ spec }) => spec.dense !== "none");
  }

  /** Is the student's own probability of each token recorded? */
  get usesStudentLogProbs(): boolean {
    return this.#members.some(({ requirement }) => requirement.ownLogProbs ?? false);
  }

  /** The teachers that losses name and ask something. */
  get teacherNames(): readonly string[] {
    return Object.keys(this.requirement(0).named ?? {});
  }

  /** Everything the losses need of their teachers at a point of the run. */
  requirement(progress: number): SignalRequirement {
    const named = [...this.#slots.keys()].flatMap((name) => {
      const own = name === undefined ? undefined : this.#requirementOf(name, progress);
      return own !== undefined && asksAnything(own) ? [[name, own] as const] : [];
    });
    return {
      ...this.#requirementOf(undefined, progress),
      ...(this.usesStudentLogProbs && { ownLogProbs: true }),
      ...(named.length > 0 && { named: Object.fromEntries(named) }),
    };
  }

  #membersOf(teacher: TeacherName): readonly LossMember[] {
    return this.#members.filter(({ teachers }) => teachers.includes(teacher));
  }

  #slotsFor(teacher: TeacherName): readonly Schedule[] {
    const taus = this.#membersOf(teacher).flatMap(({ requirement }) =>
      Object.values(requirement.taus ?? {}),
    );
    return [...new Map(taus.map((tau) => [slotKey(tau), tau])).values()];
  }

  /** Of all losses that ask this teacher. */
  #positionTausFor(teacher: TeacherName): readonly PositionTemperature[] {
    return this.#membersOf(teacher).flatMap(({ requirement }) =>
      Object.values(requirement.positionTaus ?? {}),
    );
  }

  #requirementOf(teacher: TeacherName, progress: number): TeacherRequirement {
    const members = this.#membersOf(teacher);
    const positionTaus = this.#positionTausFor(teacher);
    const spec = mergeSpecs(
      members.map(({ requirement }) => requirement.signal ?? {}),
      this.#slots.get(teacher)!.map((slot) => scheduleAt(slot, progress)),
    );
    const size = teacherSize(this.sizes, teacher);
    return {
      spec,
      ...(positionTaus.length > 0 && { positionTaus }),
      ...(members.some(({ requirement }) => requirement.acrossTokenizers) && {
        acrossTokenizers: { vocabulary: size.translation?.vocabulary },
      }),
      ...(spec.hiddenLayers.length > 0 && {
        hiddenWidths: spec.hiddenLayers.map((number) => stateWidth(number, size)),
      }),
      studentTopK: longestList(members) > 0 ? longestList(this.#members) : 0,
    };
  }

  /** The losses that are right for text of a certain law only, with their places in the configuration. */
  get texts(): readonly {
    readonly field: string;
    readonly name: string;
    readonly text: NonNullable<LossRequirement["text"]>;
  }[] {
    return this.#members.flatMap(({ name, requirement: { text } }, index) =>
      text === undefined ? [] : [{ field: `losses[${index}]`, name, text }],
    );
  }

  /** Who asks for what, for messages. */
  get asking(): readonly AskingLoss[] {
    return this.#members.map(({ name, options, requirement }, index) => ({
      field: `losses[${index}]`,
      name,
      options,
      requirement,
    }));
  }

  /** The losses that mix several teachers, but are given one. */
  get withoutMixture(): readonly Pick<AskingLoss, "field" | "name">[] {
    return this.#members.flatMap(({ name, takesSeveralTeachers, teachers }, index) =>
      takesSeveralTeachers && teachers.length < 2 ? [{ field: `losses[${index}]`, name }] : [],
    );
  }

  /** Layers of the student whose hidden states the losses compare, rising. */
  get studentLayers(): readonly number[] {
    return union(this.#members.map(({ requirement }) => requirement.studentLayers ?? []));
  }

  /** Must all positions of a sequence be computed together? */
  get keepsSequences(): boolean {
    return this.#members.some(({ requirement }) => requirement.keepsSequences ?? false);
  }

  /** @throws TandemError INVALID_ARGUMENT when a loss asks for a list of more ids, or counts more, than the vocabulary has. */
  assertFits(vocabulary: number): void {
    this.#members.forEach((member, index) => assertListFits(member, index, vocabulary));
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

  /** Does any loss look at a minibatch's positions, before a step or behind it? */
  get seesPositions(): boolean {
    return this.columnCount > 0 || this.#members.some(({ observe }) => observe !== undefined);
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

  /** What the losses must know of the whole minibatch: a number for each position, in arrays of a fixed order. */
  columns(seen: SeenPositions, { progress, parameters }: MinibatchMoment): readonly Float32Array[] {
    return this.#members.flatMap(({ columns }, index) =>
      columns.names.length === 0
        ? []
        : columns.compute(this.#seenBy(index, seen), progress, this.#ownOf(index, parameters)),
    );
  }

  /** Behind each step: what losses keep count of changes in `parameters`, in place. `seen` as `columns` was given it. */
  observe(
    values: readonly number[],
    {
      seen,
      progress,
      parameters,
    }: {
      readonly seen: SeenPositions;
      readonly progress: number;
      readonly parameters: readonly Float32Array[];
    },
  ): void {
    this.#members.forEach(({ observe }, index) =>
      observe?.({
        value: values[index]!,
        positions: this.#seenBy(index, seen),
        progress,
        parameters: this.#ownOf(index, parameters),
      }),
    );
  }

  /** A minibatch's positions with the signals and the probe of one loss. */
  #seenBy(index: number, { positions, probes }: SeenPositions): readonly MinibatchPosition[] {
    const { probe, teachers } = this.#members[index]!;
    const before = this.#members.slice(0, index).filter((other) => other.probe !== undefined);
    const own = probe === undefined ? undefined : probes[before.length];
    return positions.map(({ named, ...position }, at) => {
      const signals = teachers.map((name) =>
        name === undefined ? position.signal : named?.[name],
      );
      return { ...position, signal: signals[0], signals, probe: own?.[at] ?? 0 };
    });
  }

  /** The unweighted loss of each position, f32 [n], for each loss. */
  perToken<T extends Tensor>(ops: TensorOps<T>, inputs: LossSetInputs<T>): readonly T[] {
    return this.#members.map((member, index) =>
      member.perToken(ops, this.#inputsOf(index, inputs)),
    );
  }

  /** For logs: `LOSS.NAME`. */
  get measureNames(): readonly string[] {
    const { names } = this;
    return this.#members.flatMap(({ measures }, index) =>
      measures.names.map((own) => `${names[index]}.${own}`),
    );
  }

  /** What losses find on the way to their values, f32 [n] each, in the order of `measureNames`. */
  measures<T extends Tensor>(ops: TensorOps<T>, inputs: LossSetInputs<T>): readonly T[] {
    return this.#members.flatMap(({ measures }, index) =>
      measures.compute(ops, this.#inputsOf(index, inputs)),
    );
  }

  /** The part that one loss sees, under its own names. */
  #inputsOf<T>(index: number, inputs: LossSetInputs<T>): LossInputs<T> {
    const member = this.#members[index]!;
    const teachers = member.teachers.map((name) => this.#tensorsOf(member, name, inputs));
    const scalars = this.#scalars.flatMap(({ member: owner, name }, at) =>
      owner === index ? [[name, inputs.scalars[at]] as const] : [],
    );
    return {
      sizes: member.sizes,
      logits: inputs.logits,
      targets: inputs.targets,
      ...(inputs.places && { places: inputs.places }),
      studentLayers: inputs.studentLayers ?? new Map(),
      teacher: teachers[0]!,
      teachers,
      scalars: Object.fromEntries(scalars) as Record<string, T>,
      columns: this.#columnsOf(index, inputs.columns),
      parameters: this.#ownOf(index, inputs.parameters),
    };
  }

  /** A teacher's tensors as a loss sees them, its temperatures under its own names. */
  #tensorsOf<T>(
    { requirement }: LossMember,
    teacher: TeacherName,
    inputs: LossSetInputs<T>,
  ): TeacherTensors<T> {
    const tensors = teacher === undefined ? inputs.teacher : inputs.named?.[teacher];
    const slots = this.#slots.get(teacher)!.map(slotKey);
    const own = this.#positionTausFor(teacher);
    const slotted = [
      ...Object.entries(requirement.taus ?? {}).map(
        ([name, tau]) => [name, slots.indexOf(slotKey(tau))] as const,
      ),
      ...Object.entries(requirement.positionTaus ?? {}).map(
        ([name, tau]) => [name, slots.length + own.indexOf(tau)] as const,
      ),
    ];
    const tempered = slotted.map(([name, slot]) => [name, tensors?.tempered[slot]] as const);
    return {
      ...tensors,
      tempered: Object.fromEntries(tempered) as Record<string, TemperedTensors<T>>,
    };
  }

  #columnsOf<T>(member: number, all: readonly T[]): Record<string, T> {
    const before = this.#members
      .slice(0, member)
      .reduce((count, { columns }) => count + columns.names.length, 0);
    const { names } = this.#members[member]!.columns;
    return Object.fromEntries(names.map((name, at) => [name, all[before + at]!]));
  }

  /** One loss's parameters, of all in their order. */
  #ownOf<T>(member: number, all: readonly T[]): Record<string, T> {
    const prefix = `losses.${member}.`;
    const owned = this.parameters.flatMap(({ name }, at) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), all[at]!] as const] : [],
    );
    return Object.fromEntries(owned);
  }
}

function longestList(members: readonly LossMember[]): number {
  return Math.max(0, ...members.map(({ requirement }) => requirement.studentTopK ?? 0));
}

function slotKey(tau: Schedule): string {
  return JSON.stringify(tau);
}
