import { nearestName } from "@tandem/shared/config/nearest-name.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { z } from "zod";
import { LOSS_NAMES } from "../losses/loss-registry.js";
import type { RunSizes } from "../losses/model-sizes.js";
import { LossSet, lossesSchema } from "../losses/loss-set.js";

/** A set of one loss with weight 1.
 * @throws TandemError INVALID_ARGUMENT for an unknown loss, wrong options, lists of more ids than there are, or a weight, which belongs to a
 * run. */
export function singleLoss(
  loss: string,
  options: Readonly<Record<string, unknown>> = {},
  sizes?: RunSizes,
): LossSet {
  assertName(loss);
  if ("weight" in options) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "options.weight: a weight belongs to a run's list of losses; multiply the value instead",
      { field: "options.weight" },
    );
  }
  const parsed = lossesSchema.safeParse([{ ...options, name: loss }]);
  if (!parsed.success) {
    const problem = z.prettifyError(parsed.error);
    throw new TandemError("INVALID_ARGUMENT", `options (${loss}): ${problem}`, {
      field: "options",
    });
  }
  return asOptions(() => {
    const losses = new LossSet(parsed.data, sizes);
    if (sizes !== undefined) losses.assertFits(sizes.vocabulary);
    return losses;
  });
}

function assertName(loss: string): void {
  if (LOSS_NAMES.includes(loss)) return;
  const nearest = nearestName(String(loss), LOSS_NAMES);
  const hint = nearest ? `did you mean ${nearest}?` : `the names are ${LOSS_NAMES.join(", ")}`;
  throw new TandemError("INVALID_ARGUMENT", `loss: there is no loss "${loss}"; ${hint}`, {
    field: "loss",
  });
}

/** A run's messages name a place in its list of losses; here there is one, and its options. */
function asOptions<T>(create: () => T): T {
  try {
    return create();
  } catch (error) {
    const { code, message, field = "options", limit } = TandemError.from(error);
    const renamed = (text: string): string => text.replaceAll("losses[0]", "options");
    throw new TandemError(code, renamed(message), {
      cause: error,
      field: renamed(field),
      ...(limit !== undefined && { limit }),
    });
  }
}
