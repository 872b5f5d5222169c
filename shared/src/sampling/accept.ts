import { invariant, unreachable } from "../errors/invariant.js";
import { TandemError } from "../errors/tandem-error.js";
import type { AcceptanceRule } from "./acceptance.js";

/** What the teacher's raw logits u, at temperature 1, say about each draft token. */
export interface DraftEvidence {
  /** #{v : u_v > u_token} per draft; 0 = best. */
  readonly ranks: ArrayLike<number>;
  /** Could the teacher's own sampling have drawn it? Per draft; needed by the rule `filtered` where the rank alone does not decide. */
  readonly possible?: ArrayLike<boolean>;
  /** Uniform numbers in [0, 1), counted by position; needed by the rule `mixture`. */
  readonly coins?: ArrayLike<number>;
  /** Σ_{v : u_v > u_token} p_v per draft; needed by the rule `top-p`. */
  readonly massAbove?: ArrayLike<number>;
  /** p_token per draft; needed by the rule `min-p`. */
  readonly probabilities?: ArrayLike<number>;
}

/** How many drafts pass before the first that does not (all of them: ranks.length). Source: Xu et al. 2025 (SKD, arXiv 2410.11325), algorithm 1, in blocks. */
export function acceptDrafts(evidence: DraftEvidence, rule: AcceptanceRule): number {
  const count = evidence.ranks.length;
  for (let i = 0; i < count; i++) if (!accepts(evidence, rule, i)) return i;
  return count;
}

function accepts(evidence: DraftEvidence, rule: AcceptanceRule, i: number): boolean {
  switch (rule.kind) {
    case "rank":
      return (evidence.ranks[i] as number) < rule.k;
    case "filtered":
      invariant(evidence.possible !== undefined, "rule filtered needs possible");
      return (evidence.ranks[i] as number) < rule.k && (evidence.possible[i] as boolean);
    case "mixture":
      invariant(evidence.coins !== undefined, "rule mixture needs coins");
      return (evidence.coins[i] as number) >= rule.share;
    case "greedy":
      return evidence.ranks[i] === 0;
    case "top-p":
      invariant(evidence.massAbove !== undefined, "rule top-p needs massAbove");
      return (evidence.massAbove[i] as number) < rule.p;
    case "min-p":
      invariant(evidence.probabilities !== undefined, "rule min-p needs probabilities");
      return (evidence.probabilities[i] as number) >= rule.p;
    default:
      return unreachable(rule);
  }
}

/** Checks a rule's number; `field` is how the user wrote the record (`accept`).
 * @throws TandemError INVALID_ARGUMENT naming the field. */
export function assertAcceptanceRule(rule: AcceptanceRule, field: string): void {
  switch (rule.kind) {
    case "greedy":
      return;
    case "rank":
    case "filtered":
      if (Number.isInteger(rule.k) && rule.k >= 1) return;
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${field}.${rule.kind} accepts ranks below ${rule.k}; give an integer ≥ 1 (1 = only the best token)`,
        { field: `${field}.${rule.kind}` },
      );
    case "mixture":
      if (rule.share >= 0 && rule.share <= 1) return;
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${field}.mixture is ${rule.share}; give the teacher's share, a number from 0 to 1`,
        { field: `${field}.mixture` },
      );
    case "top-p":
    case "min-p": {
      if (rule.p > 0 && rule.p <= 1) return;
      const name = rule.kind === "top-p" ? "top_p" : "min_p";
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${field}.${name} is ${rule.p}; give a number in (0, 1]`,
        { field: `${field}.${name}` },
      );
    }
    default:
      unreachable(rule);
  }
}

/** Rank, mass above and probability of one token in a dense row of raw logits, in float64: evidence for callers that hold the row.
 * Linear in the vocabulary. */
export function evidenceOfToken(
  logits: Float32Array,
  token: number,
): { readonly rank: number; readonly massAbove: number; readonly probability: number } {
  const own = logits[token] as number;
  let maximum = -Infinity;
  for (let i = 0; i < logits.length; i++) maximum = Math.max(maximum, logits[i] as number);
  let rank = 0;
  let above = 0;
  let total = 0;
  for (let i = 0; i < logits.length; i++) {
    const weight = Math.exp((logits[i] as number) - maximum);
    total += weight;
    if ((logits[i] as number) > own) {
      rank++;
      above += weight;
    }
  }
  return { rank, massAbove: above / total, probability: Math.exp(own - maximum) / total };
}
