import type { Job, JobUsage } from "./job.js";

/** A job on its way through the scheduler. */
export class QueuedJob {
  readonly job: Job;
  /** The first law that has not come out yet, as an index in `job.tokens`. */
  nextLaw: number;
  cancelled = false;
  firstPlannedMs: number | undefined;
  #computed = 0;
  #prefill = 0;
  #reused = 0;
  #computeMs = 0;

  constructor(job: Job) {
    this.job = job;
    this.nextLaw = job.headFrom;
  }

  get started(): boolean {
    return this.firstPlannedMs !== undefined;
  }

  get done(): boolean {
    return this.nextLaw === this.job.tokens.length;
  }

  /** Where the next row begins when `cached` positions are valid: laws that are still due are computed anew even if cached. */
  resumeAt(cached: number): number {
    return Math.min(cached, this.nextLaw);
  }

  begin(now: number, cached: number): void {
    if (this.started) return;
    this.firstPlannedMs = now;
    this.#reused = Math.min(cached, this.job.headFrom);
  }

  record(past: number, count: number, computeMs: number): void {
    this.#computed += count;
    this.#prefill += Math.max(0, Math.min(past + count, this.job.headFrom) - past);
    this.#computeMs += computeMs;
    this.nextLaw = Math.max(this.nextLaw, past + count);
  }

  usage(): JobUsage {
    return {
      computedPositions: this.#computed,
      prefillPositions: this.#prefill,
      reusedPositions: this.#reused,
      queueMs: (this.firstPlannedMs ?? this.job.arrivedMs) - this.job.arrivedMs,
      computeMs: this.#computeMs,
    };
  }
}
