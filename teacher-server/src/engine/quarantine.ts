import { createHash } from "node:crypto";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Job } from "../scheduler/job.js";

/** Losses of the engine with nothing but this item in it before the item is held to be the reason. One may be a coincidence: somebody kills processes. */
const STRIKES = 3;

/** Items that are remembered; the oldest are forgotten first. */
const MAX_SUSPECTS = 10_000;

interface Suspicion {
  /** With how many others it may be computed at most, itself included. */
  groupSize: number;
  /** How often the engine was lost while it computed this item alone. */
  strikes: number;
}

export type JobContent = Pick<Job, "tokens" | "headFrom" | "head" | "encoding">;

/** Finds the item that takes the engine along. Whatever was computed when the engine was lost is suspect: when it comes again, suspects are computed
 * apart from the others and in groups half as large as the one that was lost, until those that are innocent have passed and the one that
 * is not has ended the engine by itself, a few times. It is refused from then on. Pure: remembers digests, no content. */
export class Quarantine {
  readonly #suspects = new Map<string, Suspicion>();

  get size(): number {
    return this.#suspects.size;
  }

  /** @throws TandemError INVALID_ARGUMENT for an item that has ended the engine again and again. */
  assertAllowed(job: JobContent): void {
    if (this.#suspects.size === 0) return;
    const strikes = this.#suspects.get(digestOf(job))?.strikes ?? 0;
    if (strikes < STRIKES) return;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `the engine process was lost ${strikes} times while it computed this item and nothing else; the item is not computed again, and the server's log has the details`,
      { field: "tokens" },
    );
  }

  /** Which jobs of a step are computed together: indices, in groups. Without suspects one group with all. */
  groups(jobs: readonly JobContent[]): readonly (readonly number[])[] {
    const indices = jobs.map((_, i) => i);
    if (this.#suspects.size === 0 || jobs.length === 0) return [indices];
    const sizes = jobs.map((job) => this.#suspects.get(digestOf(job))?.groupSize);
    const clean = indices.filter((i) => sizes[i] === undefined);
    const suspects = indices
      .filter((i) => sizes[i] !== undefined)
      .sort((a, b) => (sizes[a] as number) - (sizes[b] as number));
    const groups: number[][] = clean.length === 0 ? [] : [clean];
    for (let at = 0; at < suspects.length;) {
      const size = sizes[suspects[at] as number] as number;
      groups.push(suspects.slice(at, at + size));
      at += size;
    }
    return groups;
  }

  /** The engine was lost while it computed these; those that are refused from now on. */
  lost(jobs: readonly JobContent[]): readonly JobContent[] {
    const groupSize = Math.max(1, Math.floor(jobs.length / 2));
    return jobs.filter((job) => {
      const digest = digestOf(job);
      const before = this.#suspects.get(digest);
      const strikes = (before?.strikes ?? 0) + (jobs.length === 1 ? 1 : 0);
      this.#suspects.delete(digest);
      this.#suspects.set(digest, {
        groupSize: Math.min(groupSize, before?.groupSize ?? groupSize),
        strikes,
      });
      const oldest = this.#suspects.keys().next().value;
      if (this.#suspects.size > MAX_SUSPECTS && oldest !== undefined) this.#suspects.delete(oldest);
      return strikes >= STRIKES;
    });
  }

  /** These were computed to their end: whatever it was, they were not the reason. */
  survived(jobs: readonly JobContent[]): void {
    if (this.#suspects.size === 0) return;
    for (const job of jobs) this.#suspects.delete(digestOf(job));
  }
}

/** What is computed: tokens, and what is asked of them. */
function digestOf({ tokens, headFrom, head, encoding }: JobContent): string {
  const hash = createHash("sha256").update(bytesOf(tokens));
  const { targets, taus, atOffsets, atIds, ...rest } = head;
  hash.update(JSON.stringify([headFrom, rest, encoding]));
  for (const array of [targets, taus, atOffsets, atIds])
    hash.update(array === undefined ? "-" : bytesOf(array));
  return hash.digest("base64");
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
