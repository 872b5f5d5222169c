import { uniformAt } from "@tandem/shared/numeric/philox.js";
import type { AcceptanceRule } from "@tandem/proto/gen/tandem/v1/AcceptanceRule.js";
import type { LawSource } from "./law-source.js";

/** One sequence to be written, as the contract's Open says it. */
export interface Sequence {
  readonly id: number;
  readonly rngKey: number;
  readonly prompt: readonly number[];
  readonly maxResponse: number;
  readonly stopIds: readonly number[];
}

export interface Rules {
  readonly rule: AcceptanceRule;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly runSeed: number;
}

export interface Written {
  readonly tokens: readonly number[];
  /** Whether the teacher wrote the token. */
  readonly byTeacher: readonly boolean[];
  readonly finish: "FINISH_STOP" | "FINISH_LENGTH";
}

/** The student's token behind a prefix: it depends on nothing else, so that every way of drafting proposes the same. */
export type Student = (sequence: Sequence, response: readonly number[]) => Promise<number>;

/** Speculative distillation one token at a time, in float64, from full forward passes: student proposes, teacher judges, replaces, stop. */
export async function writeTokenByToken(
  sequence: Sequence,
  rules: Rules,
  student: Student,
  laws: LawSource,
): Promise<Written> {
  const tokens: number[] = [];
  const byTeacher: boolean[] = [];
  for (;;) {
    const draft = await student(sequence, tokens);
    const logits = await laws.law([...sequence.prompt, ...tokens]);
    const accepted = accepts(logits, draft, rules.rule);
    const uniform = uniformAt({
      runSeed: rules.runSeed,
      rngKey: sequence.rngKey,
      position: tokens.length,
      stream: "replacement",
    });
    const token = accepted ? draft : sample(logits, rules, uniform);
    tokens.push(token);
    byTeacher.push(!accepted);
    if (sequence.stopIds.includes(token)) return { tokens, byTeacher, finish: "FINISH_STOP" };
    if (tokens.length === sequence.maxResponse)
      return { tokens, byTeacher, finish: "FINISH_LENGTH" };
  }
}

function probabilities(logits: ArrayLike<number>, temperature = 1): number[] {
  const scaled = Array.from(logits, (u) => u / temperature);
  const maximum = Math.max(...scaled);
  const weights = scaled.map((u) => Math.exp(u - maximum));
  const total = weights.reduce((sum, w) => sum + w, 0);
  return weights.map((w) => w / total);
}

function accepts(logits: Float32Array, draft: number, rule: AcceptanceRule): boolean {
  const own = logits[draft] as number;
  const p = probabilities(logits);
  const rank = logits.filter((u) => u > own).length;
  if (rule.greedy) return rank === 0;
  if (rule.rank !== undefined) return rank < rule.rank;
  if (rule.topP !== undefined)
    return (
      p.reduce((sum, q, v) => sum + ((logits[v] as number) > own ? q : 0), 0) < Number(rule.topP)
    );
  return (p[draft] as number) >= Number(rule.minP);
}

/** Temperature, the k largest, the smallest nucleus, inverse CDF over rising ids. */
function sample(logits: Float32Array, { temperature, topK, topP }: Rules, uniform: number): number {
  const order = [...logits.keys()].sort(
    (a, b) => (logits[b] as number) - (logits[a] as number) || a - b,
  );
  if (temperature === 0) return order[0] as number;
  const listed = topK > 0 ? order.slice(0, topK) : order;
  const p = probabilities(
    listed.map((v) => logits[v] as number),
    temperature,
  );
  let mass = 0;
  const kept = listed.filter((_, i) => {
    const inside = mass < topP;
    mass += p[i] as number;
    return inside;
  });
  const ids = kept.toSorted((a, b) => a - b);
  const weights = ids.map((v) =>
    Math.exp(((logits[v] as number) - (logits[order[0] as number] as number)) / temperature),
  );
  const target = uniform * weights.reduce((sum, w) => sum + w, 0);
  let running = 0;
  for (const [i, weight] of weights.entries()) {
    running += weight;
    if (running > target) return ids[i] as number;
  }
  return ids.at(-1) as number;
}
