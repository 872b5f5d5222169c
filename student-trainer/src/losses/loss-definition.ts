/** The contract between a loss and the trainer. A loss is one file that exports one definition and is listed in `loss-registry.ts`. */
import type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import type { z } from "zod";
import type { ModelSizes } from "./model-sizes.js";
import type { Schedule } from "./schedule.js";
import type { ReadWith } from "./unread-options.js";

/** Everything about one position that a loss may use; n positions of any sequences at once, those that carry loss.
 * Letters: n positions, V vocabulary, k the teacher's top list, a the student's own list. */
export interface LossInputs<T> {
  /** f32 [n,V]: the student's raw logits, the only input with a gradient but for the loss's own parameters. */
  readonly logits: T;
  /** i64 [n]: the token at the position. */
  readonly targets: T;
  /** Of the loss's only teacher, or of the first it names. */
  readonly teacher: TeacherTensors<T>;
  /** Of all teachers that the loss names, in the order of the configuration; of one that names none or one: that one. */
  readonly teachers: readonly TeacherTensors<T>[];
  /** The student's hidden states that the loss asked for (`studentLayers`), by layer, f32 [n,D], with a gradient. */
  readonly studentLayers: ReadonlyMap<number, T>;
  /** With `keepsSequences`, f32 [n] each: the number of the position's sequence (rising, −1 for rows without a position), and where in
   * its response the position stands. */
  readonly places?: { readonly sequence: T; readonly index: T };
  readonly sizes: ModelSizes;
  /** The current values of the loss's scheduled numbers, f32 scalars. */
  readonly scalars: Readonly<Record<string, T>>;
  /** The loss's `columns`, f32 [n] each. */
  readonly columns: Readonly<Record<string, T>>;
  /** The loss's own `parameters`, f32, with a gradient. */
  readonly parameters: Readonly<Record<string, T>>;
}

/** Numbers that a loss owns: trained with the student by the same optimizer, without weight decay, kept in checkpoints, not exported. */
export interface LossParameter {
  readonly shape: readonly number[];
  /** Row by row; or normal numbers, the same in every run. */
  readonly initial: readonly number[] | { readonly std: number };
}

/** The parts of the teacher's signal that were asked for, row by row beside the student's logits. */
export interface TeacherTensors<T> {
  /** Absent where the list came in the short form. */
  readonly top?: TopTensors<T>;
  /** The list of a request with `logProbs`: see `topLogProbs`. */
  readonly topLogProbs?: TopLogProbs<T>;
  /** f32 [n]. */
  readonly lse?: T;
  /** By the name under which the loss declared the temperature. */
  readonly tempered: Readonly<Record<string, TemperedTensors<T>>>;
  /** f32 [n]: the teacher's logit of the token at the position, a log-probability where there is no `lse`; rank (strict, 0 = best) as f32 [n]. */
  readonly token?: { readonly logit: T; readonly rank: T };
  /** f32 [n] each. */
  readonly moments?: { readonly mean: T; readonly max: T; readonly entropy: T };
  /** Ids chosen by the student when it wrote the position (its own top list): i64 [n,a], and the teacher's logits there, f32 [n,a]; with
   * `topLogProbs` they are log-probabilities. */
  readonly at?: { readonly ids: T; readonly logits: T };
  /** Distinct samples of the teacher: i64 [n,N] and their counts, f32 [n,N]; unused columns have id 0 and count 0. With a draw temperature
   * other than 1 also what each is worth, f32 [n,N]: its probability at temperature 1 over that in the law it was sampled from. */
  readonly draws?: { readonly ids: T; readonly counts: T; readonly weights?: T };
  /** f32 [n,V]. */
  readonly dense?: T;
  /** Hidden states by layer, f32 [n,D] of the teacher's width. */
  readonly hidden?: ReadonlyMap<number, T>;
}

/** A list in the short form. */
export interface TopLogProbs<T> {
  /** i64 [n,k], by falling probability; absent where no loss reads them. */
  readonly ids?: T;
  /** f32 [n,k], nats. */
  readonly values: T;
}

export interface TopTensors<T> {
  /** i64 [n,k], by falling logit. k is at least what the loss asked for: several losses share one list. */
  readonly ids: T;
  /** f32 [n,k], raw. */
  readonly logits: T;
  /** f32 [n]: log Σ_v exp(u_v). */
  readonly lse: T;
  /** f32 [n]: log of the mass outside the k ids; −∞ when there is none. */
  readonly logTail: T;
  /** Where lists end at a mass, f32 [n,k]: 1 at their entries, 0 behind them, where the first id stands again with logit −∞. */
  readonly used?: T;
  /** For losses across tokenizers, f32 [n,k]: 1 where the student has a token for the teacher's (`ids` are the student's), 0 elsewhere (id 0). */
  readonly matched?: T;
}

/** The teacher at a temperature τ, exact over the whole vocabulary. */
export interface TemperedTensors<T> {
  /** f32 [n]. */
  readonly tau: T;
  /** f32 [n]: log Σ_v exp(u_v/τ). */
  readonly lse: T;
  /** f32 [n]: log of softmax(u/τ)'s mass outside the k ids; only beside a top list. */
  readonly logTail?: T;
}

/** What a loss must be given. Parts that are left out are not needed. */
export interface LossRequirement {
  readonly signal?: Partial<Omit<SignalSpec, "taus">>;
  /** Temperatures at which the teacher's normaliser must be known, by the name under which `tempered` gives them back. */
  readonly taus?: Readonly<Record<string, Schedule>>;
  /** Temperatures that differ from position to position, under further names in `tempered`. They are fixed when the text is scored: the teacher
   * is asked for its moments first, which is a second pass over the text. */
  readonly positionTaus?: Readonly<Record<string, PositionTemperature>>;
  /** The student sends so many of its own best ids per position to be scored (`at`). */
  readonly studentTopK?: number;
  /** The loss counts so many of a position's best ids in what it is given anyway. */
  readonly ranks?: number;
  /** Layers of the student whose hidden states the loss compares; 0 is the embedding's. */
  readonly studentLayers?: readonly number[];
  /** All positions of a sequence are seen together, in their order (`places`): for losses that relate positions to each other. As many
   * rows of logits exist at once as the longest response has tokens. */
  readonly keepsSequences?: boolean;
  /** The student's probability of each token when the text was written is recorded (`oldLogProb`): costs a forward pass per batch of texts. */
  readonly ownLogProbs?: boolean;
  /** The text that the loss is right for; default: any.
   * `student`: tokens that the student drew at temperature 1, used often if they like; `current-student`: by the student as it is in the step
   * that they are used in; `mixture`: draws of (1−m)·student + m·teacher, both at temperature 1. Given text beside it is left out of the loss.
   * `pairs`: two responses to each prompt, another's and the student's, in one minibatch. `labels`: text that others wrote, at least in part,
   * since its tokens are what the student is to say; with what to do where there is none. */
  readonly text?:
    | "student"
    | "current-student"
    | "pairs"
    | { readonly mixture: number }
    | { readonly labels: string };
  /** The loss can do with a teacher that has another tokenizer: signals aligned by bytes (`AlignedSignal`), ids that may be unmatched. */
  readonly acrossTokenizers?: boolean;
  /** Numbers that change with progress without changing the graph. */
  readonly scalars?: Readonly<Record<string, Schedule>>;
}

/** Logits of both sides at a position, over the whole vocabulary, the student's as it is when the text is scored. */
export interface PositionMoments {
  readonly teacher: { readonly mean: number; readonly max: number };
  readonly student: { readonly mean: number; readonly max: number };
}

/** A positive temperature. */
export type PositionTemperature = (moments: PositionMoments) => number;

/** A position as it is known before anything is computed. */
export interface MinibatchPosition {
  /** The token at the position. */
  readonly token: number;
  /** Row of the data set that the text belongs to, the same in every epoch. */
  readonly dataRow: number;
  /** Its share in the minibatch's loss, > 0. */
  readonly coefficient: number;
  /** Number of its sequence in the minibatch; positions of a sequence stand together and in order. */
  readonly sequence: number;
  /** The token at the position was sampled from the student. */
  readonly byStudent: boolean;
  /** The token is the data's. */
  readonly given: boolean;
  /** log q of the token when it was written, if a loss asks for it (`ownLogProbs`). */
  readonly oldLogProb: number | undefined;
  readonly signal: TeacherSignal | undefined;
  /** Of all teachers that the loss names, in its order. */
  readonly signals: readonly (TeacherSignal | undefined)[];
  /** Row of the signals. */
  readonly row: number;
  /** The student's own best ids, ragged by the signal's `atOffsets`, if a loss asks for them. */
  readonly atIds: Uint32Array | undefined;
  /** What the loss's `probe` gave for it; 0 without one. */
  readonly probe: number;
}

/** Numbers of each position that depend on the other positions of the minibatch (medians, counts), so that no graph which sees only
 * some of the positions could compute them: from the teacher's signal and the loss's `probe`, before the minibatch is cut into pieces. */
export interface LossColumns<Options> {
  readonly names: readonly string[] | ((options: Options) => readonly string[]);
  /** One array per name, with a number for each position. Rows that weigh nothing get 0, from which `perToken` must stay finite. */
  readonly compute: (
    positions: readonly MinibatchPosition[],
    options: Options,
    /** Of the run, 0 … 1. */
    progress: number,
    /** The loss's own, by name. */
    parameters: OwnNumbers,
  ) => readonly Float32Array[];
}

/** Numbers of each position that a loss finds on its way to its value (temperatures, what it keeps), for the log of a run. */
export interface LossMeasures<Options> {
  readonly names: readonly string[];
  /** One tensor per name, f32 [n]; the log has their means, each position weighed as the loss weighs it. Rows that weigh nothing must stay
   * finite. */
  readonly compute: <T extends Tensor>(
    ops: TensorOps<T>,
    inputs: LossInputs<T>,
    options: Options,
  ) => readonly T[];
}

export type OwnNumbers = Readonly<Record<string, ArrayLike<number>>>;

/** What a loss may learn from a step behind it. */
export interface StepOutcome<Options> {
  readonly options: Options;
  /** The loss's unweighted value over the minibatch. */
  readonly value: number;
  /** Those that weighed something, as `columns` saw them before the step. */
  readonly positions: readonly MinibatchPosition[];
  /** Of the run, 0 … 1. */
  readonly progress: number;
  /** The loss's own, by name, changed in place. */
  readonly parameters: Readonly<Record<string, Float32Array>>;
}

export interface LossDefinition<Options = unknown> {
  /** The exact name in configurations. */
  readonly name: string;
  /** One line for lists. */
  readonly summary: string;
  /** Paper, with its arXiv number. */
  readonly source: string;
  readonly options: z.ZodType<Options>;
  /** Options that do nothing without another: given then, they are refused. */
  readonly readWith?: ReadWith;
  /** Of each of its teachers. */
  readonly requires: (options: Options, sizes: ModelSizes) => LossRequirement;
  /** `several`: a configuration may give the loss a list of teachers, whose signals for the same tokens it receives together. Default: one. */
  readonly teachers?: "one" | "several";
  /** An option that has an entry for each teacher, and how many it has. */
  readonly perTeacher?: (
    options: Options,
  ) => { readonly option: string; readonly count: number } | undefined;
  readonly columns?: LossColumns<Options>;
  /** A number of each position, f32 [n], under the student as it is when the step begins, for `columns` that depend on it: costs another
   * forward pass. `inputs.columns` is empty. */
  readonly probe?: <T extends Tensor>(
    ops: TensorOps<T>,
    inputs: LossInputs<T>,
    options: Options,
  ) => T;
  /** Is the probe needed with these options? Default: always. */
  readonly needsProbe?: (options: Options) => boolean;
  readonly parameters?: (
    options: Options,
    sizes: ModelSizes,
  ) => Readonly<Record<string, LossParameter>>;
  /** Runs behind each step, for parameters that are no subject of a gradient: counters and running means, which checkpoints keep. */
  readonly observe?: (outcome: StepOutcome<Options>) => void;
  readonly measures?: LossMeasures<Options>;
  /** The loss of each position, f32 [n], in nats; mask, weights and means are applied by the one reducer, not here.
   * Must stay finite, value and gradient, for every finite student and for −∞ teacher logits. */
  readonly perToken: <T extends Tensor>(
    ops: TensorOps<T>,
    inputs: LossInputs<T>,
    options: Options,
  ) => T;
}
