import type { QueuedJob } from "./queued-job.js";

export interface DealBudget {
  /** Positions left in this step. */
  tokens: number;
  /** Rows left in this step. */
  rows: number;
}

export interface DealOptions {
  /** Jobs of one tier, in order of arrival. */
  readonly jobs: readonly QueuedJob[];
  readonly budget: DealBudget;
  /** Deficits of the clients, kept between steps: client → positions it may still take. */
  readonly deficits: Map<number, number>;
  /** Clients in the order in which their turn comes. */
  readonly ring: readonly number[];
  /** Positions a client gains per turn. */
  readonly quantum: number;
  /** Where the job's next row begins, or undefined when there is no room for its cache now. */
  readonly admit: (job: QueuedJob) => number | undefined;
  /** job → positions granted; filled by this function. */
  readonly grants: Map<QueuedJob, { readonly past: number; count: number }>;
}

/** Deals the positions of a step to the jobs of one tier: deficit round robin between clients, first come first served within one.
 * Prefill and scoring take what they get; the laws of an atomic job are taken whole or not at all. */
export function dealTokens(options: DealOptions): void {
  const { budget, deficits, quantum } = options;
  const queues = groupByClient(options.jobs, options.ring);
  while (budget.tokens > 0 && queues.size > 0) {
    for (const [client, queue] of queues) {
      deficits.set(client, (deficits.get(client) ?? 0) + quantum);
      serveClient(client, queue, options);
      if (queue.length === 0) {
        queues.delete(client);
        deficits.delete(client);
      }
      if (budget.tokens === 0) return;
    }
  }
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
  const { budget, deficits, grants } = options;
  let grant = grants.get(job);
  if (grant === undefined) {
    if (budget.rows === 0) return "leave";
    const past = options.admit(job);
    if (past === undefined) return "leave";
    grant = { past, count: 0 };
  }
  const deficit = deficits.get(client) ?? 0;
  const position = grant.past + grant.count;
  const take = positionsToTake(job, position, Math.min(deficit, budget.tokens));
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

function groupByClient(
  jobs: readonly QueuedJob[],
  ring: readonly number[],
): Map<number, QueuedJob[]> {
  const queues = new Map<number, QueuedJob[]>();
  const members = new Set(jobs.map((job) => job.job.client));
  for (const client of ring) if (members.has(client)) queues.set(client, []);
  for (const job of jobs) queues.get(job.job.client)?.push(job);
  return queues;
}
