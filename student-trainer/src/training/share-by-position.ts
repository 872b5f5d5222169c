import { AUTHOR, type Rollout } from "../rollout/rollout.js";

/** The fraction of tokens that the teacher wrote, by response position in buckets that double: position 0, 1, 2–3, 4–7, 8–15 … */
export function teacherShareByPosition(rollouts: readonly Rollout[]): readonly number[] {
  const longest = rollouts.reduce((max, { authors }) => Math.max(max, authors.length), 0);
  const all = new Float64Array(longest === 0 ? 0 : bucketOf(longest - 1) + 1);
  const own = new Float64Array(all.length);
  for (const { authors } of rollouts) {
    authors.forEach((author, position) => {
      const bucket = bucketOf(position);
      all[bucket] = (all[bucket] as number) + 1;
      if (author === AUTHOR.teacher) own[bucket] = (own[bucket] as number) + 1;
    });
  }
  return Array.from(own, (count, bucket) => count / (all[bucket] as number));
}

/** The fraction of judged drafts that the teacher accepted, in the same buckets. Every position of an interleaved text was judged once: what the
 * teacher did not write itself it accepted. */
export function acceptanceByPosition(rollouts: readonly Rollout[]): readonly number[] {
  const interleaved = rollouts.filter(({ rejected }) => rejected !== undefined);
  return teacherShareByPosition(interleaved).map((share) => 1 - share);
}

function bucketOf(position: number): number {
  return Math.ceil(Math.log2(position + 1));
}
