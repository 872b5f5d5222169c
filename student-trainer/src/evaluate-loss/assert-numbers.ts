import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** Which numbers are allowed. */
export interface NumberRange {
  readonly holds: (value: number) => boolean;
  /** As a message says it: `finite numbers`. */
  readonly words: string;
}

export const FINITE: NumberRange = { holds: Number.isFinite, words: "finite numbers" };

/** Logits, of which −∞ is a probability of 0. */
export const LOGIT: NumberRange = {
  holds: (value) => value < Infinity,
  words: "finite numbers or −Infinity",
};

/** What the teacher rounds on the wire may end a little above 0. */
const ROUNDING = 0.1;

export const LOG_PROBABILITY: NumberRange = {
  holds: (value) => value <= ROUNDING,
  words: "logarithms of probabilities, at most 0",
};

export const POSITIVE: NumberRange = {
  holds: (value) => value > 0 && value < Infinity,
  words: "finite numbers above 0",
};

export const NOT_NEGATIVE: NumberRange = {
  holds: (value) => value >= 0 && value < Infinity,
  words: "finite numbers of at least 0",
};

export const ZERO_OR_ONE: NumberRange = {
  holds: (value) => value === 0 || value === 1,
  words: "0 or 1",
};

export function below(limit: number, what: string): NumberRange {
  return { holds: (value) => value < limit, words: `${what} below ${limit}` };
}

export interface NumbersRule {
  readonly field: string;
  readonly range: NumberRange;
  /** How many; left out: any. */
  readonly count?: number;
  /** Where the count comes from: `2 positions × 7 ids`. */
  readonly of?: string;
}

/** @throws TandemError INVALID_ARGUMENT naming the field, and the first number that is out of range. */
export function assertNumbers(
  values: ArrayLike<number>,
  { field, range, count, of }: NumbersRule,
): void {
  if (count !== undefined && values.length !== count) {
    throw invalid(field, `has ${values.length} numbers, ${of} need ${count}`);
  }
  for (let at = 0; at < values.length; at++) {
    if (!range.holds(values[at] as number)) {
      throw invalid(field, `has ${String(values[at])} at index ${at}; give ${range.words}`);
    }
  }
}

/** @throws TandemError INVALID_ARGUMENT. */
export function assertArray(
  values: unknown,
  field: string,
  kinds: readonly (new (length: number) => object)[],
): void {
  if (kinds.some((kind) => values instanceof kind)) return;
  throw invalid(
    field,
    `is ${kindOf(values)}; give a ${kinds.map(({ name }) => name).join(" or ")}`,
  );
}

export function invalid(field: string, message: string): TandemError {
  return new TandemError("INVALID_ARGUMENT", `${field} ${message}`, { field });
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  return typeof value === "object" ? `of type ${value.constructor.name}` : JSON.stringify(value);
}
