import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** Errors of the command line and the configuration: exit code 2 instead of 1. */
const usageErrors = new WeakSet<object>();

/** Runs what reads the user's words; whatever it throws is a usage error. */
export function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (caught) {
    const error = TandemError.from(caught);
    usageErrors.add(error);
    throw error;
  }
}

/** 0 is success; 130 as shells report an interrupt. */
export function exitCodeOf(error: unknown): 1 | 2 | 130 {
  if (typeof error === "object" && error !== null && usageErrors.has(error)) return 2;
  return error instanceof TandemError && error.code === "CANCELLED" ? 130 : 1;
}
