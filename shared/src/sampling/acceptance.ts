/** When a draft token passes, at temperature 1 on the teacher's raw logits (SKD, arXiv 2410.11325). */
export type AcceptanceRule =
  /** rank < k; ties accept. The paper's rule, k = 25. */
  | { readonly kind: "rank"; readonly k: number }
  /** Σ_{v : u_v > u_tok} p_v < p. */
  | { readonly kind: "top-p"; readonly p: number }
  /** p_tok ≥ p. */
  | { readonly kind: "min-p"; readonly p: number }
  /** Only the teacher's best token. */
  | { readonly kind: "greedy" };
