import { realpath } from "node:fs/promises";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** A model is not written over one that it is made from: what was read would be lost, and a run could not be resumed from it.
 * @throws TandemError INVALID_ARGUMENT when `outDir` is one of `sources`, links followed. */
export async function assertApart(outDir: string, sources: readonly string[]): Promise<void> {
  const out = await realpath(outDir).catch(() => undefined);
  if (out === undefined) return;
  for (const source of sources) {
    if ((await realpath(source)) !== out) continue;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `--out ${outDir} is the directory that the model is made from; give another one`,
      { field: "out" },
    );
  }
}
