/** The trainer as a library. */
export { evaluateLoss } from "./evaluate-loss/evaluate-loss.js";
export type { LossEvaluation, LossSequence, LossValue } from "./evaluate-loss/loss-evaluation.js";
export { listLosses, type LossListing, type LossOption } from "./evaluate-loss/list-losses.js";
export { lossRequirement } from "./evaluate-loss/loss-requirement.js";
export type { SignalRequirement } from "./losses/signal-requirement.js";
export type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
