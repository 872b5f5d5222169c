import type { Candidates } from "./job-queues.js";
import type { QueuedJob } from "./queued-job.js";

export interface DealBudget {
  /** Positions left in this step. */
  tokens: number;
  /** Rows left in this step. */
  rows: number;
}

/** How far the round robin of a tier has come; kept between steps. */
export class Round {
  /** Clients with work, the one whose turn it is first. */
  ring: number[] = [];
  /** Positions that a client may still take. */
  readonly deficits = new Map<number, number>();
  /** The step ended within the turn of the first one. */
  interrupted = false;
}

export interface DealOptions {
  /** Jobs of one tier. */
  readonly candidates: Candidates;
  readonly budget: DealBudget;
  readonly round: Round;
  /** Positions a client gains per turn: its share of the engine. */
  readonly quanta: ReadonlyMap<number, number>;
  /** Where the job's next row begins, or undefined when there is no room for its cache now. */
  readonly admit: (job: QueuedJob) => number | undefined;
  /** job → positions granted; filled by this function. */
  readonly grants: Map<QueuedJob, { readonly past: number; count: number }>;
}

/** Deals the positions of a step to the jobs of one tier: deficit round robin between clients (Shreedhar & Varghese 1995), going on where the step
 * before ended. Prefill and scoring take what they get; the laws of an atomic job are taken whole or not at all. */
export function dealTokens(options: DealOptions): void {
  const { budget, round, quanta, grants } = options;
  const { jobs, cut } = options.candidates;
  const queues = groupByClient(jobs);
  enter(round, queues);
  while (budget.tokens > 0 && queues.size > 0) {
    const client = round.ring[0] as number;
    const queue = queues.get(client);
    // Has nothing more for this step.
    if (queue === undefined) {
      rotate(round);
      continue;
    }
    const { deficits } = round;
    if (!round.interrupted)
      deficits.set(client, (deficits.get(client) ?? 0) + (quanta.get(client) ?? 1));
    round.interrupted = false;
    serveClient(client, queue, options);
    if (queue.length === 0) queues.delete(client);
    else if (budget.tokens === 0 && (deficits.get(client) ?? 0) >= 1) {
      round.interrupted = true;
      break;
    }
    rotate(round);
  }
  const waiting = new Set(cut);
  for (const job of jobs) if (!isServed(job, grants.get(job))) waiting.add(job.job.client);
  leave(round, quanta, waiting);
}

/** Those that have got work line up behind the others. */
function enter(round: Round, queues: ReadonlyMap<number, unknown>): void {
  const [first] = round.ring;
  round.ring = round.ring.filter((client) => queues.has(client));
  if (round.ring[0] !== first) round.interrupted = false;
  const known = new Set(round.ring);
  for (const client of queues.keys()) if (!known.has(client)) round.ring.push(client);
}

/** Who has all it asked for goes without what it has saved up; who could not take more saves up one turn at most. */
function leave(
  round: Round,
  quanta: ReadonlyMap<number, number>,
  waiting: ReadonlySet<number>,
): void {
  const most = Math.max(...quanta.values());
  round.ring = round.ring.filter((client) => waiting.has(client));
  for (const [client, deficit] of round.deficits) {
    if (!waiting.has(client)) round.deficits.delete(client);
    else if (deficit > most) round.deficits.set(client, most);
  }
}

function isServed(
  { job }: QueuedJob,
  grant: { readonly past: number; readonly count: number } | undefined,
): boolean {
  return grant !== undefined && grant.past + grant.count === job.tokens.length;
}

function rotate({ ring }: Round): void {
  ring.push(ring.shift() as number);
}

/** Serves one client until its deficit or the step is used up; jobs that can take no more in this step leave the queue. */
function serveClient(client: number, queue: QueuedJob[], options: DealOptions): void {
  let index = 0;
  while (index < queue.length && options.budget.tokens > 0) {
    const job = queue[index] as QueuedJob;
    const outcome = serveJob(client, job, options);
    if (outcome === "wait") return;
    if (outcome === "leave") queue.splice(index, 1);
    else index++;
  }
}

/** "leave": can take no more in this step; "wait": the client has to save up for it. */
function serveJob(
  client: number,
  job: QueuedJob,
  options: DealOptions,
): "leave" | "wait" | "again" {
  const {
    budget,
    grants,
    round: { deficits },
  } = options;
  let grant = grants.get(job);
  if (grant === undefined) {
    if (budget.rows === 0) return "leave";
    const past = options.admit(job);
    if (past === undefined) return "leave";
    grant = { past, count: 0 };
  }
  const deficit = deficits.get(client) ?? 0;
  const position = grant.past + grant.count;
  const take = positionsToTake(job, position, Math.min(Math.floor(deficit), budget.tokens));
  if (take > 0) {
    if (grant.count === 0) {
      grants.set(job, grant);
      budget.rows--;
    }
    grant.count += take;
    budget.tokens -= take;
    deficits.set(client, deficit - take);
  }
  if (position + take === job.job.tokens.length) return "leave";
  const wanted = smallestTake(job, position + take);
  if (wanted > budget.tokens) return "leave";
  return "wait";
}

function positionsToTake(job: QueuedJob, position: number, allowance: number): number {
  const end = job.job.tokens.length;
  if (!job.job.atomic) return Math.min(end - position, allowance);
  const prefill = Math.min(Math.max(0, job.job.headFrom - position), allowance);
  const laws = end - Math.max(position, job.job.headFrom);
  const reachesLaws = position + prefill >= job.job.headFrom;
  return reachesLaws && laws <= allowance - prefill ? prefill + laws : prefill;
}

function smallestTake(job: QueuedJob, position: number): number {
  return job.job.atomic && position >= job.job.headFrom ? job.job.tokens.length - position : 1;
}

function groupByClient(jobs: readonly QueuedJob[]): Map<number, QueuedJob[]> {
  const queues = new Map<number, QueuedJob[]>();
  for (const job of jobs) {
    const queue = queues.get(job.job.client);
    if (queue === undefined) queues.set(job.job.client, [job]);
    else queue.push(job);
  }
  return queues;
}
