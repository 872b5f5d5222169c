/** When a draft token passes (SKD, arXiv 2410.11325): at temperature 1 on the teacher's raw logits, but for `filtered`. */
export type AcceptanceRule =
  /** rank < k; ties accept. The paper's rule, k = 25. */
  | { readonly kind: "rank"; readonly k: number }
  /** rank < k among the ids that the teacher's own sampling (temperature, top-k, top-p) leaves: the released code, which warps the logits before it
   * takes their best k. Where fewer than k are left, its list is filled up with ids of probability 0 in no defined order; none of those passes here. */
  | { readonly kind: "filtered"; readonly k: number }
  /** Σ_{v : u_v > u_tok} p_v < p. */
  | { readonly kind: "top-p"; readonly p: number }
  /** p_tok ≥ p. */
  | { readonly kind: "min-p"; readonly p: number }
  /** Whatever the draft is, it is replaced with this probability, by the counted coin of its position: text of the mixture
   * (1−share)·student + share·teacher (MiniLLM, arXiv 2306.08543). */
  | { readonly kind: "mixture"; readonly share: number }
  /** Only the teacher's best token. */
  | { readonly kind: "greedy" };
