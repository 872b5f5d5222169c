import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Priority__Output as RawPriority } from "@tandem/proto/gen/tandem/v1/Priority.js";
import type { Priority } from "../scheduler/job.js";

/** @throws TandemError INVALID_ARGUMENT for a number this build does not know. */
export function admitPriority(raw: RawPriority, field: string, unspecified: Priority): Priority {
  switch (raw) {
    case "PRIORITY_UNSPECIFIED":
      return unspecified;
    case "PRIORITY_LOW":
      return "low";
    case "PRIORITY_NORMAL":
      return "normal";
    case "PRIORITY_HIGH":
      return "high";
    default:
      // An enum number this build does not know arrives as that number.
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${field} is ${String(raw)}; LOW (1), NORMAL (2) and HIGH (3) are known`,
        { field },
      );
  }
}
