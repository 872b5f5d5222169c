import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Clock } from "@tandem/shared/telemetry/clock.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import type { Job } from "../scheduler/job.js";
import type { JobProgress, Plan, Scheduler } from "../scheduler/scheduler.js";
import { Quarantine } from "./quarantine.js";
import type { EngineRowResult, EngineStep, EngineStepResult } from "../scheduler/engine-step.js";

/** Whoever gave the job to the loop. */
export interface JobListener {
  /** Laws came out; after `done` nothing more comes. */
  readonly onProgress: (progress: JobProgress) => void;
  /** The job is gone without its laws. */
  readonly onFailure: (error: TandemError) => void;
}

export interface StepObserver {
  readonly onStep: (step: EngineStep, result: EngineStepResult, elapsedMs: number) => void;
}

export interface StepLoopOptions {
  readonly scheduler: Scheduler;
  readonly run: (step: EngineStep) => Promise<EngineStepResult>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: StepObserver;
}

/** Drives the engine: plan, run, apply, tell the listeners, again. Everything submitted in one turn of the event loop, and all that arrives while a
 * step is computed, can share the next step. */
export class StepLoop {
  readonly #options: StepLoopOptions;
  readonly #listeners = new Map<number, JobListener>();
  readonly #quarantine = new Quarantine();
  #nextJobId = 1;
  #scheduled = false;
  #running = false;
  #leftWaiting = 0;
  #unavailable: TandemError | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;

  constructor(options: StepLoopOptions) {
    this.#options = options;
    this.#unavailable = new TandemError("UNAVAILABLE", "the model is loading; try again", {
      retryDelayMs: 1000,
    });
  }

  get waitingJobs(): number {
    return this.#options.scheduler.jobCount - this.#options.scheduler.runningCount;
  }

  /** Jobs that had no place in the last step when it was planned. */
  get leftWaiting(): number {
    return this.#leftWaiting;
  }

  get runningRows(): number {
    return this.#options.scheduler.runningCount;
  }

  get sharedPositions(): number {
    return this.#options.scheduler.sharedPositions;
  }

  get coalescedJobs(): number {
    return this.#options.scheduler.coalescedJobs;
  }

  /** Nothing waits and nothing is computed. */
  get idle(): boolean {
    return this.#options.scheduler.jobCount === 0 && !this.#running;
  }

  /** Takes a job. When the engine is away the listener hears so at once. */
  submit(job: Omit<Job, "id" | "arrivedMs">, listener: JobListener): number {
    const id = this.#nextJobId++;
    if (this.#unavailable !== undefined) {
      const error = this.#unavailable;
      queueMicrotask(() => listener.onFailure(error));
      return id;
    }
    try {
      this.#quarantine.assertAllowed(job);
    } catch (error) {
      queueMicrotask(() => listener.onFailure(TandemError.from(error)));
      return id;
    }
    this.#listeners.set(id, listener);
    this.#options.scheduler.add({ ...job, id, arrivedMs: this.#options.clock.now() });
    this.kick();
    return id;
  }

  /** Forgets a job; its listener hears nothing more. */
  cancel(id: number): void {
    this.#listeners.delete(id);
    this.#options.scheduler.cancel(id);
  }

  setPaused(client: number, paused: boolean): void {
    this.#options.scheduler.setPaused(client, paused);
    if (!paused) this.kick();
  }

  engineUp(): void {
    this.#unavailable = undefined;
    this.kick();
  }

  /** The engine is gone: every job fails with this error, and so does whatever is submitted until it is back. */
  engineDown(error: TandemError): void {
    this.#unavailable = error;
    for (const job of this.#options.scheduler.reset()) this.#fail(job, error);
  }

  /** Plans at the end of this turn of the event loop. */
  kick(): void {
    if (this.#scheduled || this.#running) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  close(): void {
    clearTimeout(this.#deadlineTimer);
  }

  #turn(): void {
    const { scheduler, clock } = this.#options;
    if (this.#unavailable !== undefined || this.#running) return;
    const plan = scheduler.plan(clock.now());
    if (plan === undefined) return;
    for (const job of plan.expired) this.#fail(job, deadlineError(job));
    this.#watchDeadlines();
    if (plan.step.rows.length === 0 && plan.step.release.length === 0) return;
    this.#running = true;
    this.#leftWaiting = this.waitingJobs;
    this.#compute(plan).catch((error: unknown) => {
      this.#options.logger.fatal({ event: "loop.failed", err: error }, "the step loop failed");
    });
  }

  async #compute({ step, jobs }: Plan): Promise<void> {
    const { scheduler, clock, observer } = this.#options;
    const began = clock.now();
    try {
      const result = await this.#run(step, jobs);
      // Nothing is in flight any more when the engine was lost in between.
      if (jobs.length > 0 && scheduler.busy) {
        observer.onStep(step, result, clock.now() - began);
        for (const progress of scheduler.apply(result)) this.#deliver(progress);
      }
    } catch (caught) {
      this.#stepFailed(TandemError.from(caught));
    } finally {
      this.#running = false;
      this.kick();
    }
  }

  /** A step at once; with suspects in it, group by group, so that one that takes the engine along shows. */
  async #run(step: EngineStep, jobs: readonly Job[]): Promise<EngineStepResult> {
    const groups = this.#quarantine.groups(jobs);
    const results: EngineStepResult[] = [];
    for (const group of groups) {
      const release = results.length === 0 ? step.release : [];
      const rows = group.map((i) => step.rows[i] as EngineStep["rows"][number]);
      const members = group.map((i) => jobs[i] as Job);
      try {
        results.push(await this.#options.run({ ...step, release, rows }));
      } catch (error) {
        // Otherwise the step was refused, and the engine lives.
        if (this.#unavailable !== undefined) this.#suspect(members);
        throw error;
      }
      const ended = (job: Job, i: number) =>
        (rows[i]?.past ?? 0) + (rows[i]?.tokens.length ?? 0) === job.tokens.length;
      this.#quarantine.survived(members.filter(ended));
    }
    return results.length === 1 ? (results[0] as EngineStepResult) : mergeResults(results, groups);
  }

  #suspect(jobs: readonly Job[]): void {
    const refused = this.#quarantine.lost(jobs).length;
    this.#options.logger.warn(
      { event: "engine.suspects", items: jobs.length, refused },
      refused > 0
        ? "an item has ended the engine again and again by itself: it is refused from now on"
        : "these items were computed when the engine was lost; they are computed in smaller groups now",
    );
  }

  /** A refused step takes its own jobs along; a lost engine has settled all of them already. */
  #stepFailed(error: TandemError): void {
    if (this.#unavailable !== undefined) return;
    this.#options.logger.error(
      { event: "step.failed", code: error.code, err: error },
      "a step failed",
    );
    for (const job of this.#options.scheduler.abandonStep()) this.#fail(job, error);
  }

  #deliver(progress: JobProgress): void {
    const { job, result } = progress;
    const listener = this.#listeners.get(job.id);
    if (result.failure !== undefined) {
      this.#fail(job, new TandemError(result.failure.code, result.failure.message));
      return;
    }
    if (progress.done) this.#listeners.delete(job.id);
    try {
      listener?.onProgress(progress);
    } catch (error) {
      // One listener's fault must not cost the others their laws.
      this.#options.logger.error(
        { event: "listener.failed", err: error },
        "a result could not be delivered",
      );
      this.#options.scheduler.cancel(job.id);
      this.#listeners.delete(job.id);
      listener?.onFailure(TandemError.from(error));
    }
  }

  #fail(job: Job, error: TandemError): void {
    const listener = this.#listeners.get(job.id);
    this.#listeners.delete(job.id);
    listener?.onFailure(error);
  }

  /** A job that waits although the engine is free (its client does not read, the pool is full) must hear of its deadline too. */
  #watchDeadlines(): void {
    clearTimeout(this.#deadlineTimer);
    const next = this.#options.scheduler.nextDeadlineMs();
    if (next === Infinity) return;
    const delayMs = Math.min(2 ** 31 - 1, Math.max(1, Math.ceil(next - this.#options.clock.now())));
    this.#deadlineTimer = setTimeout(() => this.kick(), delayMs);
  }
}

/** The rows of groups in the order of the step. */
function mergeResults(
  results: readonly EngineStepResult[],
  groups: readonly (readonly number[])[],
): EngineStepResult {
  const rows: EngineRowResult[] = [];
  const merged = { computeMs: 0, computedPositions: 0, headPositions: 0 };
  results.forEach((result, g) => {
    groups[g]?.forEach((index, i) => {
      rows[index] = result.rows[i] as EngineRowResult;
    });
    merged.computeMs += result.computeMs;
    merged.computedPositions += result.computedPositions;
    merged.headPositions += result.headPositions;
  });
  return { rows, ...merged };
}

function deadlineError(job: Job): TandemError {
  const waitedMs = Math.round(job.deadlineMs - job.arrivedMs);
  return new TandemError(
    "DEADLINE_EXCEEDED",
    `the item was not computed within its ${waitedMs} ms; give it more time or send less at once`,
    {
      field: "timeout_ms",
      limit: waitedMs,
    },
  );
}
