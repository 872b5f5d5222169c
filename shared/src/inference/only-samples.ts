import { asksForSignal } from "./asks-for-signal.js";
import type { HeadRequest } from "./step.js";

/** Does the request want a sampled token and nothing else? */
export function onlySamples(head: HeadRequest): boolean {
  return head.sample !== undefined && head.targets.length === 0 && !asksForSignal(head);
}
