import type { Job } from "./job.js";

/** A student that drafts comes back within this, once it has its verdicts and has written the next block; one that takes longer hardly feels what a full
 * step adds. */
const RHYTHM_MS = 1000;

/** Whether somebody drafts at present: between its drafts nothing of it waits here, and yet its next one should not find a long step in its way. */
export class DraftWatch {
  /** Drafts that wait or are computed. */
  #open = 0;
  /** Some have gone since the last look. */
  #gone = false;
  #lastMs = -Infinity;

  add(job: Job): void {
    if (isUrgentDraft(job)) this.#open++;
  }

  remove(job: Job): void {
    if (!isUrgentDraft(job)) return;
    this.#open--;
    this.#gone = true;
  }

  /** now: of the plan that is made, behind the step before. */
  isActive(now: number): boolean {
    if (this.#open > 0 || this.#gone) this.#lastMs = now;
    this.#gone = false;
    return now - this.#lastMs <= RHYTHM_MS;
  }

  clear(): void {
    this.#open = 0;
  }
}

function isUrgentDraft({ kind, priority }: Job): boolean {
  return kind === "draft" && priority === "high";
}
