import { invariant } from "@tandem/shared/errors/invariant.js";
import {
  lawCount,
  type EngineRow,
  type EngineRowResult,
  type EngineStep,
  type EngineStepResult,
} from "./engine-step.js";
import type { KvPool } from "../sessions/kv-pool.js";
import { dealTokens } from "./deal-tokens.js";
import type { Job, JobUsage } from "./job.js";
import { QueuedJob } from "./queued-job.js";
import { sliceHead } from "./slice-head.js";

export interface SchedulerOptions {
  /** Positions per step at most. */
  readonly maxBatchTokens: number;
  /** Rows per step at most. */
  readonly maxRows: number;
  /** A job that has waited this long goes before drafts. */
  readonly maxWaitMs: number;
  /** Positions a client gains per turn of the round robin. */
  readonly quantum: number;
}

export interface Plan {
  readonly step: EngineStep;
  /** Jobs whose deadline passed before they were computed; they are gone. */
  readonly expired: readonly Job[];
}

/** What a step brought for one job. */
export interface JobProgress {
  readonly job: Job;
  readonly result: EngineRowResult;
  /** All laws are out; the job is gone. */
  readonly done: boolean;
  readonly usage: JobUsage;
}

interface PlannedRow {
  readonly queued: QueuedJob;
  readonly past: number;
  readonly count: number;
}

/** Decides what the next forward pass computes. `plan` and `apply` are the whole contract with the engine: no clock, no model, no promise.
 *
 * A step is a map job → number of positions; prefill in pieces, drafts and scoring share it. Order: what waited longer than `maxWaitMs`, then drafts
 * and generation (somebody waits for them), then scoring; between clients deficit round robin within each tier. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #pool: KvPool;
  readonly #jobs = new Map<number, QueuedJob>();
  readonly #deficits = new Map<number, number>();
  readonly #paused = new Set<number>();
  #inFlight: readonly PlannedRow[] | undefined;
  #turn = 0;

  constructor(options: SchedulerOptions, pool: KvPool) {
    this.#options = options;
    this.#pool = pool;
  }

  /** Jobs that wait or are computed. */
  get jobCount(): number {
    return this.#jobs.size;
  }

  /** Jobs in the step that is computed now. */
  get runningCount(): number {
    return this.#inFlight?.length ?? 0;
  }

  get busy(): boolean {
    return this.#inFlight !== undefined;
  }

  /** When the first deadline passes; Infinity when no job has one. */
  nextDeadlineMs(): number {
    let next = Infinity;
    for (const { job } of this.#jobs.values()) next = Math.min(next, job.deadlineMs);
    return next;
  }

  add(job: Job): void {
    invariant(!this.#jobs.has(job.id), `job ${job.id} is queued already`);
    invariant(
      lawCount(job.head) === job.tokens.length - job.headFrom,
      `job ${job.id}: laws and positions differ`,
    );
    invariant(lawCount(job.head) > 0, `job ${job.id} asks for nothing`);
    this.#jobs.set(job.id, new QueuedJob(job));
    if (!this.#paused.has(job.client)) this.#pool.setPinned(job.cache, true);
  }

  /** Forgets a job. What a step in flight computes for it is dropped. */
  cancel(id: number): void {
    const queued = this.#jobs.get(id);
    if (queued === undefined) return;
    queued.cancelled = true;
    this.#remove(queued);
  }

  /** A client that does not read its answers is not computed for until it does; meanwhile others may have the memory of its caches. */
  setPaused(client: number, paused: boolean): void {
    if (!paused) {
      this.#paused.delete(client);
      return;
    }
    this.#paused.add(client);
    for (const { job } of this.#jobs.values()) {
      if (job.client === client) this.#pool.setPinned(job.cache, false);
    }
  }

  /** The next step; undefined while one is in flight. A step without rows means that there is nothing to compute. */
  plan(now: number): Plan | undefined {
    if (this.#inFlight !== undefined) return undefined;
    const expired = this.#expire(now);
    const rows = this.#deal(now);
    if (rows.length > 0) this.#inFlight = rows;
    return {
      step: { release: this.#pool.takeReleased(), rows: rows.map(toEngineRow) },
      expired,
    };
  }

  /** Takes in what the planned step brought. */
  apply(result: EngineStepResult): readonly JobProgress[] {
    const planned = this.#inFlight;
    invariant(planned !== undefined, "a result arrived without a step");
    invariant(planned.length === result.rows.length, "a step and its result differ in rows");
    this.#inFlight = undefined;
    const progress: JobProgress[] = [];
    planned.forEach(({ queued, past, count }, i) => {
      const { job } = queued;
      queued.record(past, count, result.computeMs);
      // Drafts behind a rejection are not part of the sequence: the caller says how far a verdict reaches.
      this.#pool.setLength(
        job.cache,
        job.atomic ? Math.min(past + count, job.headFrom + 1) : past + count,
      );
      const row = result.rows[i] as EngineRowResult;
      if (row.failure !== undefined) {
        this.#remove(queued);
        this.#pool.free(job.cache);
      }
      if (queued.cancelled) return;
      if (queued.done) this.#remove(queued);
      if (row.failure !== undefined || past + count > job.headFrom) {
        progress.push({
          job,
          result: row,
          done: queued.done,
          usage: queued.usage(),
        });
      }
    });
    return progress;
  }

  /** The step in flight failed: its jobs are gone, what their caches hold is unknown. */
  abandonStep(): readonly Job[] {
    const planned = this.#inFlight ?? [];
    this.#inFlight = undefined;
    for (const { queued } of planned) {
      this.#remove(queued);
      this.#pool.free(queued.job.cache);
    }
    return planned.filter(({ queued }) => !queued.cancelled).map(({ queued }) => queued.job);
  }

  /** The engine is gone: every job is, and every cache. */
  reset(): readonly Job[] {
    const jobs = [...this.#jobs.values()].map(({ job }) => job);
    this.#jobs.clear();
    this.#deficits.clear();
    this.#inFlight = undefined;
    this.#pool.clear();
    return jobs;
  }

  #expire(now: number): readonly Job[] {
    const expired = [...this.#jobs.values()].filter(({ job }) => job.deadlineMs <= now);
    for (const queued of expired) this.#remove(queued);
    return expired.map(({ job }) => job);
  }

  #deal(now: number): readonly PlannedRow[] {
    const grants = new Map<QueuedJob, { readonly past: number; count: number }>();
    const budget = { tokens: this.#options.maxBatchTokens, rows: this.#options.maxRows };
    const ring = this.#nextRing();
    const waiting = [...this.#jobs.values()].filter(({ job }) => !this.#paused.has(job.client));
    const admit = (queued: QueuedJob): number | undefined => {
      if (!this.#pool.acquire(queued.job.cache, queued.job.maxLength)) return undefined;
      this.#pool.setPinned(queued.job.cache, true);
      return queued.resumeAt(this.#pool.length(queued.job.cache));
    };
    for (const jobs of this.#tiers(waiting, now)) {
      dealTokens({
        jobs,
        budget,
        ring,
        admit,
        grants,
        deficits: this.#deficits,
        quantum: this.#options.quantum,
      });
    }
    return [...grants].map(([queued, { past, count }]) => {
      queued.begin(now, past);
      return { queued, past, count };
    });
  }

  #tiers(jobs: readonly QueuedJob[], now: number): readonly (readonly QueuedJob[])[] {
    const overdue = jobs.filter(({ job }) => now - job.arrivedMs >= this.#options.maxWaitMs);
    const rest = jobs.filter(({ job }) => now - job.arrivedMs < this.#options.maxWaitMs);
    return [
      overdue,
      rest.filter(({ job }) => job.kind !== "score"),
      rest.filter(({ job }) => job.kind === "score"),
    ];
  }

  /** Clients with work, another one first each time. */
  #nextRing(): readonly number[] {
    const clients = [...new Set([...this.#jobs.values()].map(({ job }) => job.client))].toSorted(
      (a, b) => a - b,
    );
    const start = clients.length === 0 ? 0 : this.#turn++ % clients.length;
    return [...clients.slice(start), ...clients.slice(0, start)];
  }

  #remove(queued: QueuedJob): void {
    if (this.#jobs.get(queued.job.id) !== queued) return;
    this.#jobs.delete(queued.job.id);
    this.#pool.setPinned(queued.job.cache, false);
  }
}

function toEngineRow({ queued, past, count }: PlannedRow): EngineRow {
  const { job, nextLaw } = queued;
  const end = past + count;
  const row = {
    cache: job.cache,
    past,
    tokens: job.tokens.subarray(past, end),
    maxLength: job.maxLength,
  };
  if (end <= nextLaw) return row;
  const head = {
    ...sliceHead(job.head, nextLaw - job.headFrom, end - nextLaw),
    first: nextLaw - past,
  };
  return { ...row, head, encoding: job.encoding };
}
