/** What a loss set is given: by the graph, and before a minibatch is computed. */
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import type {
  LossInputs,
  LossParameter,
  MinibatchPosition,
  TeacherTensors,
  TemperedTensors,
} from "./loss-definition.js";

/** One teacher's tensors, its temperatures by slot, not by name. */
export type SlottedTensors<T> = Omit<TeacherTensors<T>, "tempered"> & {
  readonly tempered: readonly TemperedTensors<T>[];
};

/** What the graph is fed for a loss set beside logits and targets. */
export interface LossSetInputs<T> extends Omit<
  LossInputs<T>,
  "sizes" | "teacher" | "teachers" | "studentLayers" | "scalars" | "columns" | "parameters"
> {
  /** Of `LossSet.studentLayers`; left out: none. */
  readonly studentLayers?: ReadonlyMap<number, T>;
  /** The row's teacher. */
  readonly teacher: SlottedTensors<T>;
  /** Those that losses name. */
  readonly named?: Readonly<Record<string, SlottedTensors<T>>>;
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

/** A position before each loss sees its own part of it. */
export interface KnownPosition extends Omit<MinibatchPosition, "probe" | "signals"> {
  /** Of the teachers that losses name. */
  readonly named?: Readonly<Record<string, TeacherSignal>> | undefined;
}

/** The positions of a minibatch that weigh something. */
export interface SeenPositions {
  readonly positions: readonly KnownPosition[];
  /** Of `LossSet.probes`, a number for each position. */
  readonly probes: readonly ArrayLike<number>[];
}

/** When a minibatch is looked at. */
export interface MinibatchMoment {
  /** Of the run, 0 … 1. */
  readonly progress: number;
  /** Values of `LossSet.parameters`, in their order. */
  readonly parameters: readonly ArrayLike<number>[];
}
