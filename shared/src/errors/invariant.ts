import { TandemError } from "./tandem-error.js";

/** Throws INTERNAL when something that must hold by construction does not. Never for bad input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new TandemError("INTERNAL", `invariant violated: ${message}`);
}

/** Closes an exhaustive switch: a variant that was forgotten does not compile. */
export function unreachable(value: never): never {
  throw new TandemError("INTERNAL", `unreachable: ${JSON.stringify(value)}`);
}
