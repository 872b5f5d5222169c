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
import { dealTokens, Round, type DealBudget } from "./deal-tokens.js";
import { DraftWatch } from "./draft-watch.js";
import { JobQueues, type Candidates } from "./job-queues.js";
import type { Job, JobUsage } from "./job.js";
import { QueuedJob } from "./queued-job.js";
import { shareQuanta } from "./share-quanta.js";
import { sliceHead } from "./slice-head.js";
import { FIRST_BULK_TIER, tierOf } from "./tier-of.js";
import { TwinTable } from "./twin-table.js";

export interface SchedulerOptions {
  /** Positions per step at most. */
  readonly maxBatchTokens: number;
  /** Positions per step at most of work that is less urgent than drafts, while drafts come in. */
  readonly maxTokensBesideDrafts: number;
  /** Rows per step at most. */
  readonly maxRows: number;
  /** Jobs that have waited this long get a part of each step whatever is more urgent. */
  readonly maxWaitMs: number;
  /** Positions a client gains at most per turn of the round robin. */
  readonly quantum: number;
}

export interface Plan {
  readonly step: EngineStep;
  /** Whose the rows of the step are. */
  readonly jobs: readonly Job[];
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

/** Part of a step that is kept for those who have waited too long behind more urgent ones. */
const LATE_PART = 1 / 8;
/** Their round robin among those of the tiers. */
const LATE = -1;

interface PlannedRow {
  readonly queued: QueuedJob;
  readonly past: number;
  readonly count: number;
  /** Blocks that its cache begins with. */
  readonly load: PrefixMatch["blocks"];
  readonly saves: readonly BlockSave[];
}

/** What a plan has found so far. */
interface Dealing {
  readonly grants: Map<QueuedJob, { readonly past: number; count: number }>;
  readonly loads: Map<QueuedJob, PrefixMatch["blocks"]>;
}

/** Decides what the next forward pass computes. `plan` and `apply` are the whole contract with the engine: no clock, no model, no promise.
 *
 * A step is a map job → number of positions; prefill in pieces, drafts and scoring share it. Order: by priority, within one what is filled ahead behind what somebody waits
 * for; but an eighth of each step goes first to those who have waited longer than `maxWaitMs`. While drafts come in, less urgent work gets `maxTokensBesideDrafts`
 * of a step at most: a verdict waits for the step in flight and for its own. Between owners deficit round robin by weight; of one stream's jobs those first that need fewer steps.
 *
 * A sequence that begins like one before takes over its keys and values; while another job computes them, it waits for that job. Of
 * jobs that ask for the same bytes one is computed, and the others get its answer; when it goes, the next one takes its place. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #pool: KvPool;
  readonly #prefixes: PrefixTree;
  readonly #jobs = new Map<number, QueuedJob>();
  readonly #queues: JobQueues;
  /** Those with a deadline. */
  readonly #timed = new Set<QueuedJob>();
  /** By tier. */
  readonly #rounds = new Map<number, Round>();
  readonly #paused = new Set<number>();
  readonly #twins = new TwinTable();
  readonly #drafts = new DraftWatch();
  #inFlight: readonly PlannedRow[] | undefined;
  #sharedPositions = 0;
  #coalesced = 0;

  constructor(options: SchedulerOptions, pool: KvPool, prefixes: PrefixTree) {
    this.#options = options;
    this.#pool = pool;
    this.#prefixes = prefixes;
    const { maxBatchTokens, maxRows } = options;
    this.#queues = new JobQueues({
      tierOf,
      stepTokens: maxBatchTokens,
      // Some of them may have to wait for others.
      perClient: 4 * maxRows,
    });
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
    for (const { job } of this.#timed) next = Math.min(next, job.deadlineMs);
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
    this.#queues.add(queued);
    this.#drafts.add(job);
    if (job.deadlineMs < Infinity) this.#timed.add(queued);
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
      jobs: rows.map(({ queued }) => queued.job),
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
    this.#queues.clear();
    this.#timed.clear();
    this.#twins.clear();
    this.#drafts.clear();
    this.#rounds.clear();
    this.#inFlight = undefined;
    this.#pool.clear();
    this.#prefixes.clear();
    return jobs;
  }

  #expire(now: number): readonly Job[] {
    const expired = [...this.#timed].filter(({ job }) => job.deadlineMs <= now);
    for (const queued of expired) this.#remove(queued);
    return expired.map(({ job }) => job);
  }

  #deal(now: number): readonly PlannedRow[] {
    this.#prefixes.beginPlan();
    const dealing: Dealing = { grants: new Map(), loads: new Map() };
    const owners = this.#queues.clients().map(({ job }) => job);
    const quanta = shareQuanta(
      owners.filter(({ client }) => !this.#paused.has(client)),
      this.#options.quantum,
    );
    const admit = (queued: QueuedJob) => this.#admit(queued, dealing);
    const deal = (round: number, candidates: Candidates, budget: DealBudget): void => {
      if (candidates.jobs.length === 0) return;
      const { grants } = dealing;
      dealTokens({ candidates, budget, round: this.#round(round), admit, grants, quanta });
    };
    const { maxBatchTokens: tokens, maxRows: rows, maxWaitMs } = this.#options;
    const isPaused = (client: number) => this.#paused.has(client);
    const late = this.#queues.late(now - maxWaitMs, isPaused);
    let bulk = this.#drafts.isActive(now) ? this.#options.maxTokensBesideDrafts : tokens;
    const kept = late.jobs.length === 0 ? { tokens: 0, rows: 0 } : partOf({ tokens, rows }, bulk);
    const rest = { tokens: tokens - kept.tokens, rows: rows - kept.rows };
    bulk -= kept.tokens;
    deal(LATE, late, kept);
    bulk += kept.tokens;
    const budget = { tokens: rest.tokens + kept.tokens, rows: rest.rows + kept.rows };
    for (const tier of this.#queues.tiers()) {
      const most = tier < FIRST_BULK_TIER ? budget.tokens : Math.min(budget.tokens, bulk);
      if (most <= 0) continue;
      const own = { tokens: most, rows: budget.rows };
      deal(tier, this.#queues.next(tier, isPaused), own);
      const taken = most - own.tokens;
      budget.tokens -= taken;
      budget.rows = own.rows;
      if (tier >= FIRST_BULK_TIER) bulk -= taken;
    }
    return [...dealing.grants].map(([queued, { past, count }]) =>
      this.#planRow({ queued, past, count, load: dealing.loads.get(queued) ?? [] }, now),
    );
  }

  /** Where a job's next row begins; undefined when it has to wait, for memory or for another job's work. */
  #admit(queued: QueuedJob, { grants, loads }: Dealing): number | undefined {
    const { job, skippable } = queued;
    const isAhead = (leader: QueuedJob) => grants.has(leader) || this.#isAhead(leader, queued);
    if (this.#twins.isCovered(queued, isAhead)) return undefined;
    const cached = this.#pool.length(job.cache);
    const match = this.#prefixes.match(job.tokens, skippable);
    const gain = skippable - Math.max(cached, match.length);
    if (!queued.started && gain >= KV_BLOCK && match.promisedBy !== undefined) {
      const leader = this.#jobs.get(match.promisedBy);
      if (leader !== undefined && isAhead(leader)) return undefined;
    }
    if (!this.#pool.acquire(job.cache, job.maxLength, job.kind !== "prefill")) return undefined;
    this.#pool.setPinned(job.cache, true);
    if (match.length > cached) loads.set(queued, match.blocks);
    const past = Math.min(skippable, Math.max(cached, match.length));
    const to = job.atomic ? job.headFrom + 1 : job.tokens.length;
    this.#prefixes.promise(job.id, job.tokens, { from: past, to });
    return past;
  }

  /** Whether a job has begun and will go on before the other one could begin. */
  #isAhead(leader: QueuedJob, other: QueuedJob): boolean {
    const reads = !this.#paused.has(leader.job.client);
    return leader.started && reads && tierOf(leader.job) <= tierOf(other.job);
  }

  #planRow(row: Omit<PlannedRow, "saves">, now: number): PlannedRow {
    const { queued, past, load } = row;
    const { tokens, cache, kind } = queued.job;
    if (load.length > 0) this.#sharedPositions += past - this.#pool.length(cache);
    queued.begin(now, past, kind === "prefill" ? 0 : this.#pool.takeAhead(cache));
    return { ...row, saves: this.#prefixes.save(tokens, { from: past, to: knownEnd(row) }) };
  }

  #round(key: number): Round {
    let round = this.#rounds.get(key);
    if (round === undefined) {
      round = new Round();
      this.#rounds.set(key, round);
    }
    return round;
  }

  #remove(queued: QueuedJob): void {
    if (this.#jobs.get(queued.job.id) !== queued) return;
    this.#jobs.delete(queued.job.id);
    this.#queues.remove(queued);
    this.#timed.delete(queued);
    this.#twins.remove(queued);
    this.#drafts.remove(queued.job);
    this.#prefixes.forget(queued.job.id);
    this.#pool.setPinned(queued.job.cache, false);
  }
}

function partOf({ tokens, rows }: DealBudget, most: number): DealBudget {
  const part = Math.min(most, Math.ceil(tokens * LATE_PART));
  return { tokens: part, rows: Math.ceil(rows * LATE_PART) };
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
