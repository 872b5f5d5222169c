import { invariant } from "@tandem/shared/errors/invariant.js";
import { KV_BLOCK } from "@tandem/shared/inference/kv-blocks.js";
import {
  lawCount,
  type EncodedFrame,
  type EngineRow,
  type EngineRowResult,
  type EngineStep,
  type EngineStepResult,
} from "./engine-step.js";
import type { KvPool } from "../sessions/kv-pool.js";
import type { BlockSave, PrefixMatch, PrefixTree } from "../sessions/prefix-tree.js";
import { dealTokens } from "./deal-tokens.js";
import type { Job, JobUsage } from "./job.js";
import { QueuedJob } from "./queued-job.js";
import { sliceHead } from "./slice-head.js";
import { TwinTable } from "./twin-table.js";

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
  /** With `done`, for a job with an identity that was computed: all its frames, unless they were too many. */
  readonly answer?: readonly EncodedFrame[];
}

/** Who goes first: whom somebody waits for, then what is filled ahead, then scoring. Before all of them what has waited too long. */
const TIERS: readonly (readonly Job["kind"][])[] = [
  [],
  ["draft", "generate"],
  ["prefill"],
  ["score"],
];

interface PlannedRow {
  readonly queued: QueuedJob;
  readonly past: number;
  readonly count: number;
  /** Blocks that its cache begins with. */
  readonly load: PrefixMatch["blocks"];
  readonly saves: readonly BlockSave[];
}

/** Decides what the next forward pass computes. `plan` and `apply` are the whole contract with the engine: no clock, no model, no promise.
 *
 * A step is a map job → number of positions; prefill in pieces, drafts and scoring share it. Order: what waited longer than `maxWaitMs`, then drafts
 * and generation (somebody waits for them), then what is filled ahead, then scoring; between clients deficit round robin within each tier.
 *
 * A sequence that begins like one before takes over its keys and values; while another job computes them, it waits for that job. Of
 * jobs that ask for the same bytes one is computed, and the others get its answer; when it goes, the next one takes its place. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #pool: KvPool;
  readonly #prefixes: PrefixTree;
  readonly #jobs = new Map<number, QueuedJob>();
  readonly #deficits = new Map<number, number>();
  readonly #paused = new Set<number>();
  readonly #twins = new TwinTable();
  #inFlight: readonly PlannedRow[] | undefined;
  #turn = 0;
  #sharedPositions = 0;
  #coalesced = 0;

  constructor(options: SchedulerOptions, pool: KvPool, prefixes: PrefixTree) {
    this.#options = options;
    this.#pool = pool;
    this.#prefixes = prefixes;
  }

  /** Jobs that wait or are computed. */
  get jobCount(): number {
    return this.#jobs.size;
  }

  /** Jobs in the step that is computed now. */
  get runningCount(): number {
    return this.#inFlight?.length ?? 0;
  }

  /** Positions that were taken over from sequences that begin alike, since the start. */
  get sharedPositions(): number {
    return this.#sharedPositions;
  }

  /** Jobs that got the answer of an equal one, since the start. */
  get coalescedJobs(): number {
    return this.#coalesced;
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
    invariant(
      lawCount(job.head) > 0 !== (job.kind === "prefill"),
      `job ${job.id} asks for nothing, or is to fill a cache and asks for laws`,
    );
    const queued = new QueuedJob(job);
    this.#jobs.set(job.id, queued);
    this.#twins.add(queued);
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
    planned.forEach((plannedRow, i) => {
      const { queued, past, count, saves } = plannedRow;
      const { job } = queued;
      const row = result.rows[i] as EngineRowResult;
      queued.record(past, count, result.computeMs);
      this.#pool.setLength(job.cache, knownEnd(plannedRow));
      if (job.kind === "prefill") this.#pool.addAhead(job.cache, count);
      this.#prefixes.settle(saves, row.failure === undefined);
      if (row.failure !== undefined) {
        this.#remove(queued);
        this.#pool.free(job.cache);
      }
      if (row.failure === undefined) {
        queued.keep(row);
        if (queued.done) progress.push(...this.#answerTwins(queued));
      }
      if (queued.cancelled) return;
      const { done, frames: answer } = queued;
      if (row.failure !== undefined || done || past + count > job.headFrom) {
        const usage = queued.usage();
        progress.push({ job, result: row, done, usage, ...(done && answer && { answer }) });
      }
      if (done) this.#remove(queued);
    });
    return progress;
  }

  /** Gives a whole answer to all who asked for the same and are not being computed themselves. */
  #answerTwins(leader: QueuedJob): readonly JobProgress[] {
    const { frames } = leader;
    if (frames === undefined) return [];
    return this.#twins.waiting(leader).map((twin) => {
      const { job } = twin;
      this.#remove(twin);
      this.#coalesced++;
      const result = { cache: job.cache, frames };
      return { job, result, done: true, usage: twin.usageFrom(leader) };
    });
  }

  /** The step in flight failed: its jobs are gone, what their caches hold is unknown. */
  abandonStep(): readonly Job[] {
    const planned = this.#inFlight ?? [];
    this.#inFlight = undefined;
    for (const { queued, saves } of planned) {
      this.#prefixes.settle(saves, false);
      this.#remove(queued);
      this.#pool.free(queued.job.cache);
    }
    return planned.filter(({ queued }) => !queued.cancelled).map(({ queued }) => queued.job);
  }

  /** The engine is gone: every job is, and every cache. */
  reset(): readonly Job[] {
    const jobs = [...this.#jobs.values()].map(({ job }) => job);
    this.#jobs.clear();
    this.#twins.clear();
    this.#deficits.clear();
    this.#inFlight = undefined;
    this.#pool.clear();
    this.#prefixes.clear();
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
    const loads = new Map<QueuedJob, PrefixMatch["blocks"]>();
    this.#prefixes.beginPlan();
    const admit = (queued: QueuedJob): number | undefined => {
      const { job, skippable } = queued;
      const isAhead = (leader: QueuedJob) => this.#isAhead(leader, queued, { grants, now });
      if (this.#twins.isCovered(queued, isAhead)) return undefined;
      const cached = this.#pool.length(job.cache);
      const match = this.#prefixes.match(job.tokens, skippable);
      const { promisedBy } = match;
      const gain = skippable - Math.max(cached, match.length);
      if (!queued.started && gain >= KV_BLOCK && promisedBy !== undefined) {
        const leader = this.#jobs.get(promisedBy);
        if (leader !== undefined && this.#isAhead(leader, queued, { grants, now }))
          return undefined;
      }
      if (!this.#pool.acquire(job.cache, job.maxLength, job.kind !== "prefill")) return undefined;
      this.#pool.setPinned(job.cache, true);
      if (match.length > cached) loads.set(queued, match.blocks);
      const past = Math.min(skippable, Math.max(cached, match.length));
      const to = job.atomic ? job.headFrom + 1 : job.tokens.length;
      this.#prefixes.promise(job.id, job.tokens, { from: past, to });
      return past;
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
    return [...grants].map(([queued, { past, count }]): PlannedRow => {
      const { tokens, cache, kind } = queued.job;
      const load = loads.get(queued) ?? [];
      if (load.length > 0) this.#sharedPositions += past - this.#pool.length(cache);
      queued.begin(now, past, kind === "prefill" ? 0 : this.#pool.takeAhead(cache));
      const to = knownEnd({ queued, past, count });
      const saves = this.#prefixes.save(tokens, { from: past, to });
      return { queued, past, count, load, saves };
    });
  }

  /** Whether a job computes in this step, or has begun and will go on before the other one could begin. */
  #isAhead(
    leader: QueuedJob,
    other: QueuedJob,
    { grants, now }: { grants: ReadonlyMap<QueuedJob, unknown>; now: number },
  ): boolean {
    if (grants.has(leader)) return true;
    const reads = !this.#paused.has(leader.job.client);
    return leader.started && reads && this.#tier(leader, now) <= this.#tier(other, now);
  }

  #tiers(jobs: readonly QueuedJob[], now: number): readonly (readonly QueuedJob[])[] {
    return TIERS.map((_, tier) => jobs.filter((queued) => this.#tier(queued, now) === tier));
  }

  #tier({ job }: QueuedJob, now: number): number {
    if (now - job.arrivedMs >= this.#options.maxWaitMs) return 0;
    return TIERS.findIndex((kinds) => kinds.includes(job.kind));
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
    this.#twins.remove(queued);
    this.#prefixes.forget(queued.job.id);
    this.#pool.setPinned(queued.job.cache, false);
  }
}

/** Positions of the row's cache that hold tokens of the sequence afterwards. Drafts behind the last known token are none of it yet: whoever asked says
 * how far a verdict reaches. */
function knownEnd({ queued, past, count }: Pick<PlannedRow, "queued" | "past" | "count">): number {
  const { atomic, headFrom } = queued.job;
  return atomic ? Math.min(past + count, headFrom + 1) : past + count;
}

function toEngineRow({ queued, past, count, load, saves }: PlannedRow): EngineRow {
  const { job, nextLaw } = queued;
  const end = past + count;
  const row = {
    cache: job.cache,
    past,
    tokens: job.tokens.subarray(past, end),
    maxLength: job.maxLength,
    ...(load.length > 0 && { load }),
    ...(saves.length > 0 && { save: saves.map(({ place }) => place) }),
  };
  if (end <= nextLaw) return row;
  const head = {
    ...sliceHead(job.head, nextLaw - job.headFrom, end - nextLaw),
    first: nextLaw - past,
  };
  return { ...row, head, encoding: job.encoding };
}
