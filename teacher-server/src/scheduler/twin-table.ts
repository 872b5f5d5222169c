import type { QueuedJob } from "./queued-job.js";

/** Jobs by what they ask for. Of those with one identity the first that began is computed, and the others wait for its answer. */
export class TwinTable {
  readonly #jobs = new Map<string, QueuedJob[]>();

  add(queued: QueuedJob): void {
    const { identity } = queued.job;
    if (identity === undefined) return;
    const twins = this.#jobs.get(identity);
    if (twins === undefined) this.#jobs.set(identity, [queued]);
    else twins.push(queued);
  }

  remove(queued: QueuedJob): void {
    const { identity } = queued.job;
    const rest = this.#of(queued).filter((twin) => twin !== queued);
    if (identity === undefined) return;
    if (rest.length === 0) this.#jobs.delete(identity);
    else this.#jobs.set(identity, rest);
  }

  /** Whether a job that has not begun can have the answer of one that `isAhead` of it. */
  isCovered(queued: QueuedJob, isAhead: (twin: QueuedJob) => boolean): boolean {
    if (queued.started) return false;
    // One whose answer is too large to be kept has nothing for the others.
    const leader = this.#of(queued).find(
      (twin) => twin !== queued && twin.frames !== undefined && isAhead(twin),
    );
    return leader !== undefined;
  }

  /** Those who can have the answer of this one. */
  waiting(leader: QueuedJob): readonly QueuedJob[] {
    return this.#of(leader).filter((twin) => twin !== leader && !twin.started);
  }

  clear(): void {
    this.#jobs.clear();
  }

  #of({ job: { identity } }: QueuedJob): readonly QueuedJob[] {
    return (identity === undefined ? undefined : this.#jobs.get(identity)) ?? [];
  }
}
