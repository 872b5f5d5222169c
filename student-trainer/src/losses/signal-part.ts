import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** A part of the signal that a loss asked for. @throws FAILED_PRECONDITION when it did not come. */
export function signalPart<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `a loss needs ${what}, but the teacher signal does not hold it; ask for what the losses require`,
  );
}
