import { cutAtStop } from "@tandem/shared/sampling/stops.js";
import type { ValidDraft } from "../admission/valid-interleave.js";

export type JudgedDraft = Pick<ValidDraft, "tokens" | "taus" | "atOffsets" | "atIds">;

/** The part of a draft that can matter: through its first stop token and the last free place. What lies behind would be discarded whatever the
 * teacher thinks, so it is not computed. */
export function truncateDraft(
  draft: ValidDraft,
  stopIds: ReadonlySet<number>,
  room: number,
): JudgedDraft {
  const { tokens, taus, atOffsets, atIds } = draft;
  const { kept } = cutAtStop(tokens, stopIds, room);
  if (kept === tokens.length) return draft;
  const tauCount = taus === undefined ? 0 : taus.length / tokens.length;
  return {
    tokens: tokens.subarray(0, kept),
    ...(taus && { taus: taus.subarray(0, kept * tauCount) }),
    ...(atOffsets && { atOffsets: atOffsets.subarray(0, kept + 1) }),
    ...(atIds && atOffsets && { atIds: atIds.subarray(0, atOffsets[kept]) }),
  };
}
