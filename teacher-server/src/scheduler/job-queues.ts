import type { Job } from "./job.js";
import type { QueuedJob } from "./queued-job.js";

/** Jobs of one client and tier by the steps that they need, each set in order of arrival. */
type Classes = Map<number, Set<QueuedJob>>;

/** The next jobs of a tier. */
export interface Candidates {
  /** In the order in which they are served, client by client. */
  readonly jobs: readonly QueuedJob[];
  /** Clients that have more than these. */
  readonly cut: ReadonlySet<number>;
}

export interface JobQueuesOptions {
  /** 0 is the most urgent. */
  readonly tierOf: (job: Job) => number;
  /** Positions per step: what a job's number of steps is counted in. */
  readonly stepTokens: number;
  /** Jobs of a client that a step could serve at most. */
  readonly perClient: number;
}

/** Everything that waits or is computed, ordered so that a step looks at the jobs it could serve and not at all of them: by tier, by client, those first
 * that need fewer steps, then by arrival. */
export class JobQueues {
  readonly #options: JobQueuesOptions;
  readonly #tiers = new Map<number, Map<number, Classes>>();

  constructor(options: JobQueuesOptions) {
    this.#options = options;
  }

  add(queued: QueuedJob): void {
    const { job } = queued;
    const tier = this.#options.tierOf(job);
    let clients = this.#tiers.get(tier);
    if (clients === undefined) this.#tiers.set(tier, (clients = new Map<number, Classes>()));
    let classes = clients.get(job.client);
    if (classes === undefined) clients.set(job.client, (classes = new Map()));
    const own = classes.get(this.#steps(job));
    if (own === undefined) classes.set(this.#steps(job), new Set([queued]));
    else own.add(queued);
  }

  remove(queued: QueuedJob): void {
    const { job } = queued;
    const tier = this.#options.tierOf(job);
    const clients = this.#tiers.get(tier);
    const classes = clients?.get(job.client);
    const own = classes?.get(this.#steps(job));
    own?.delete(queued);
    if (own?.size === 0) classes?.delete(this.#steps(job));
    if (classes?.size === 0) clients?.delete(job.client);
    if (clients?.size === 0) this.#tiers.delete(tier);
  }

  clear(): void {
    this.#tiers.clear();
  }

  /** Tiers that have jobs, the most urgent one first. */
  tiers(): readonly number[] {
    return [...this.#tiers.keys()].toSorted((a, b) => a - b);
  }

  /** One job of each client that has any. */
  clients(): readonly QueuedJob[] {
    const first = new Map<number, QueuedJob>();
    for (const clients of this.#tiers.values()) {
      for (const [client, classes] of clients) {
        for (const own of classes.values())
          for (const queued of own) {
            first.set(client, queued);
            break;
          }
      }
    }
    return [...first.values()];
  }

  next(tier: number, isPaused: (client: number) => boolean): Candidates {
    const jobs: QueuedJob[] = [];
    const cut = new Set<number>();
    for (const [client, classes] of this.#tiers.get(tier) ?? []) {
      if (isPaused(client)) continue;
      let room = this.#options.perClient;
      for (const [, own] of [...classes].toSorted(([a], [b]) => a - b)) {
        for (const queued of own) {
          if (room-- > 0) jobs.push(queued);
          else {
            cut.add(client);
            break;
          }
        }
      }
    }
    return { jobs, cut };
  }

  /** Of the less urgent tiers those that arrived by `arrivedMs`, oldest first. */
  late(arrivedMs: number, isPaused: (client: number) => boolean): Candidates {
    const jobs: QueuedJob[] = [];
    const cut = new Set<number>();
    for (const tier of this.tiers().slice(1)) {
      for (const [client, classes] of this.#tiers.get(tier) ?? []) {
        if (isPaused(client)) continue;
        for (const own of classes.values()) {
          let room = this.#options.perClient;
          for (const queued of own) {
            if (queued.job.arrivedMs > arrivedMs) break;
            if (room-- > 0) jobs.push(queued);
            else {
              cut.add(client);
              break;
            }
          }
        }
      }
    }
    return { jobs: jobs.toSorted((a, b) => a.job.arrivedMs - b.job.arrivedMs), cut };
  }

  #steps({ tokens }: Job): number {
    return Math.ceil(tokens.length / this.#options.stepTokens);
  }
}
