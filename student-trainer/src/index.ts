/** The trainer as a library. */
export {
  evaluateLoss,
  type LossEvaluation,
  type LossValue,
} from "./evaluate-loss/evaluate-loss.js";
export { listLosses, type LossListing, type LossOption } from "./evaluate-loss/list-losses.js";
export { lossRequirement } from "./evaluate-loss/loss-requirement.js";
export type { SignalRequirement } from "./losses/signal-requirement.js";
export type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
