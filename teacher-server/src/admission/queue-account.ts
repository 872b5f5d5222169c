import type { Owner } from "../scheduler/job.js";
import { TIERS } from "../scheduler/tier-of.js";

/** Index t: of tiers 0 … t together, which is what goes before an item of tier t. */
type UpToTier = number[];

interface OwnQueue {
  readonly weight: number;
  readonly positions: UpToTier;
}

/** Positions that wait to be computed, by whose they are and how urgent: what an item would have to wait for. The scheduler takes more urgent tiers
 * first and deals positions to owners by weight, so a long queue of one client is no queue for the others. */
export class QueueAccount {
  readonly #owners = new Map<string, OwnQueue>();
  readonly #positions: UpToTier = Array<number>(TIERS).fill(0);
  /** Of those who have anything there. */
  readonly #weights: UpToTier = Array<number>(TIERS).fill(0);

  get positions(): number {
    return this.#positions[TIERS - 1] as number;
  }

  /** Returns how to take them away again, once. */
  add({ name, weight }: Owner, tier: number, positions: number): () => void {
    if (positions === 0) return () => {};
    let own = this.#owners.get(name);
    if (own === undefined) {
      own = { weight, positions: Array<number>(TIERS).fill(0) };
      this.#owners.set(name, own);
    }
    this.#change(own, tier, positions);
    return () => {
      this.#change(own, tier, -positions);
      // Its weight may be another when it comes again.
      if (own.positions[TIERS - 1] === 0 && this.#owners.get(name) === own)
        this.#owners.delete(name);
    };
  }

  /** Positions that are computed before so many more of this owner's: all that wait at its urgency, but of others no more than their weight lets them
   * have in the meantime. */
  ahead({ name, weight }: Owner, tier: number, positions: number): number {
    const own = this.#owners.get(name);
    const mine = own?.positions[tier] ?? 0;
    const others = (this.#weights[tier] as number) - (mine > 0 ? (own as OwnQueue).weight : 0);
    const inTurn = mine + ((mine + positions) * Math.max(0, others)) / weight;
    return Math.min(this.#positions[tier] as number, inTurn);
  }

  #change(own: OwnQueue, tier: number, positions: number): void {
    for (let t = tier; t < TIERS; t++) {
      const before = own.positions[t] as number;
      own.positions[t] = before + positions;
      (this.#positions[t] as number) += positions;
      if (before === 0) (this.#weights[t] as number) += own.weight;
      else if (before + positions === 0) (this.#weights[t] as number) -= own.weight;
    }
  }
}
