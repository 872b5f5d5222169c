import { LossSet, lossesSchema } from "./loss-set.js";
import type { Schedule } from "./schedule.js";

/** How much of plain text is learnt from a teacher, and from what of its law. */
export interface PlainTextDistillation {
  /** s, 0 … 1: of forward KL; 1−s of cross-entropy. */
  readonly share: Schedule;
  readonly topK: number;
  readonly dense: boolean;
}

/** What is learnt from plain text: cross-entropy, and behind it forward KL where a teacher has a share. Their weights are the share's, not the set's. */
export function plainTextLosses(distillation: PlainTextDistillation | undefined): LossSet {
  const labels = { name: "cross-entropy" };
  if (distillation === undefined) return new LossSet(lossesSchema.parse([labels]));
  const { topK, dense } = distillation;
  return new LossSet(lossesSchema.parse([labels, { name: "forward-kl", topK, dense }]));
}
