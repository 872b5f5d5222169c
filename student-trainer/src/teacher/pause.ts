import { setTimeout as sleep } from "node:timers/promises";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** Waits; CANCELLED as soon as the signal aborts, with no timer left behind. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw new TandemError("CANCELLED", "interrupted while waiting for the teacher", { cause });
  }
}
