import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";
import type { PositionTemperature } from "./loss-definition.js";

/** A merged request to one teacher: what it sends and what the student sends along. */
export interface TeacherRequirement {
  readonly spec: SignalSpec;
  /** Temperatures of each position, behind `spec.taus`. */
  readonly positionTaus?: readonly PositionTemperature[];
  /** How many of its own best ids the student has scored at each position; 0 = none. All teachers that are asked get the same list. */
  readonly studentTopK: number;
  /** Widths of the hidden states that the spec asks for, in its order; left out: it asks for none. */
  readonly hiddenWidths?: readonly number[];
  /** Some loss can do with another tokenizer; given: it is one, with so many ids. */
  readonly acrossTokenizers?: { readonly vocabulary: number | undefined };
}

/** What the losses need of the row's teacher, and of those they name. */
export interface SignalRequirement extends TeacherRequirement {
  /** The student's own probability of each token is recorded when the text is written. */
  readonly ownLogProbs?: boolean;
  readonly named?: Readonly<Record<string, TeacherRequirement>>;
}

/** Does a requirement ask for anything at all? */
export function asksAnything({ spec, studentTopK }: TeacherRequirement): boolean {
  return studentTopK > 0 || JSON.stringify(spec) !== JSON.stringify(NO_SIGNAL);
}

/** J: how many temperatures each position of a signal has. */
export function tauCount({ spec, positionTaus = [] }: TeacherRequirement): number {
  return spec.taus.length + positionTaus.length;
}
