import type { Job } from "./job.js";

/** A student that drafts comes back within this, once it has read its verdicts and written the next block; one that takes longer hardly feels what a
 * full step adds. */
const RHYTHM_MS = 1000;

/** Whether somebody drafts at present: between its drafts nothing of it waits here, and yet its next one should not find a long step in its way. */
export class DraftWatch {
  #lastMs = -Infinity;

  note({ kind, priority, arrivedMs }: Job): void {
    if (kind === "draft" && priority === "high") this.#lastMs = Math.max(this.#lastMs, arrivedMs);
  }

  isActive(now: number): boolean {
    return now - this.#lastMs <= RHYTHM_MS;
  }
}
