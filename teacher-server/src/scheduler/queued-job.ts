import type { EncodedFrame, EngineRowResult } from "./engine-step.js";
import { NO_USAGE, type Job, type JobUsage } from "./job.js";

/** Answers larger than this are not kept until they are complete. */
const MAX_KEPT_BYTES = 32 << 20;

/** A job on its way through the scheduler. */
export class QueuedJob {
  readonly job: Job;
  /** The first law that has not come out yet, as an index in `job.tokens`. */
  nextLaw: number;
  cancelled = false;
  firstPlannedMs: number | undefined;
  /** Positions before this one have gone through the model. */
  #reached = 0;
  #computed = 0;
  #prefill = 0;
  #reused = 0;
  #computeMs = 0;
  /** All frames so far, for those who ask for the same; undefined when they are too many to be kept. */
  #frames: EncodedFrame[] | undefined;
  #frameBytes = 0;

  constructor(job: Job) {
    this.job = job;
    this.nextLaw = job.headFrom;
    if (job.identity !== undefined) this.#frames = [];
  }

  get started(): boolean {
    return this.firstPlannedMs !== undefined;
  }

  get done(): boolean {
    return this.#reached === this.job.tokens.length;
  }

  /** Positions that a cache can spare it: laws that are still due are computed anew even if cached, and a row computes at least one position. */
  get skippable(): number {
    return Math.min(this.nextLaw, this.job.tokens.length - 1);
  }

  /** `ahead` positions of the cached ones were computed for the sequence before it asked for anything. */
  begin(now: number, cached: number, ahead: number): void {
    if (this.started) return;
    this.firstPlannedMs = now;
    this.#computed = ahead;
    this.#prefill = ahead;
    this.#reused = Math.max(0, Math.min(cached, this.job.headFrom) - ahead);
  }

  record(past: number, count: number, computeMs: number): void {
    this.#computed += count;
    this.#prefill += Math.max(0, Math.min(past + count, this.job.headFrom) - past);
    this.#computeMs += computeMs;
    this.#reached = past + count;
    this.nextLaw = Math.max(this.nextLaw, this.#reached);
  }

  keep({ frames }: EngineRowResult): void {
    for (const frame of frames) this.#frameBytes += frame.sizeBytes;
    if (this.#frameBytes > MAX_KEPT_BYTES) this.#frames = undefined;
    this.#frames?.push(...frames);
  }

  /** The whole answer, of a job with an identity. */
  get frames(): readonly EncodedFrame[] | undefined {
    return this.#frames;
  }

  /** What a job cost that got the answer of another one. */
  usageFrom(leader: QueuedJob): JobUsage {
    const began = leader.firstPlannedMs ?? this.job.arrivedMs;
    return {
      ...NO_USAGE,
      savedPositions: this.job.tokens.length,
      queueMs: Math.max(0, began - this.job.arrivedMs),
      computeMs: leader.#computeMs,
    };
  }

  usage(): JobUsage {
    return {
      computedPositions: this.#computed,
      prefillPositions: this.#prefill,
      reusedPositions: this.#reused,
      savedPositions: 0,
      queueMs: (this.firstPlannedMs ?? this.job.arrivedMs) - this.job.arrivedMs,
      computeMs: this.#computeMs,
    };
  }
}
