import type { Job } from "./job.js";

/** Positions that each stream gains per turn of the round robin: in proportion to its owner's weight, divided among the owner's streams that have work.
 * So an owner gets its share however many streams it opens. The largest gain is `quantum`. */
export function shareQuanta(
  jobs: readonly Pick<Job, "client" | "owner">[],
  quantum: number,
): ReadonlyMap<number, number> {
  const weights = new Map<number, number>();
  const streams = new Map<string, Set<number>>();
  for (const { client, owner } of jobs) {
    weights.set(client, owner.weight);
    const own = streams.get(owner.name);
    if (own === undefined) streams.set(owner.name, new Set([client]));
    else own.add(client);
  }
  const parts = new Map<number, number>();
  for (const own of streams.values())
    for (const client of own) parts.set(client, (weights.get(client) as number) / own.size);
  const largest = Math.max(0, ...parts.values());
  return new Map([...parts].map(([client, part]) => [client, (quantum * part) / largest]));
}
