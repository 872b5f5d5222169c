import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";
import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import { sampleRow } from "@tandem/shared/sampling/sample-row.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";

export interface OracleOrder {
  readonly runSeed: number;
  readonly rngKey: number;
  readonly prompt: Uint32Array;
  /** What the teacher sees in place of it. */
  readonly teacherPrompt?: Uint32Array;
  readonly maxResponse: number;
  readonly stopId: number;
  readonly rule: AcceptanceRule;
  readonly student: SamplingParams;
  readonly teacher: SamplingParams;
}

export interface OracleText {
  readonly tokens: readonly number[];
  readonly authors: readonly number[];
}

/** Both models in this process, every law computed anew over the whole text: no caches, no blocks, no wire. */
export class RolloutOracle {
  readonly #student: ModelRunner;
  readonly #teacher: ModelRunner;
  #nextCache = 1;

  private constructor(student: ModelRunner, teacher: ModelRunner) {
    this.#student = student;
    this.#teacher = teacher;
  }

  static async open(studentDir: string, teacherDir: string): Promise<RolloutOracle> {
    return new RolloutOracle(
      await ModelRunner.load({ dir: studentDir, threads: 1 }),
      await ModelRunner.load({ dir: teacherDir, threads: 1 }),
    );
  }

  async close(): Promise<void> {
    await this.#student.close();
    await this.#teacher.close();
  }

  /** SKD as the paper writes it, token by token (arXiv 2410.11325, algorithm 1), with every acceptance rule. */
  async interleave(order: OracleOrder): Promise<OracleText> {
    const tokens: number[] = [];
    const authors: number[] = [];
    while (tokens.length < order.maxResponse && tokens.at(-1) !== order.stopId) {
      const context = Uint32Array.of(...order.prompt, ...tokens);
      const at = { runSeed: order.runSeed, rngKey: order.rngKey, position: tokens.length };
      const own = await this.law("student", context);
      const draft = sampleRow(own, order.student, uniformAt({ ...at, stream: "draft" }));
      const seen = Uint32Array.of(...(order.teacherPrompt ?? order.prompt), ...tokens);
      const law = await this.law("teacher", seen);
      const coin = uniformAt({ ...at, stream: "coin", index: 2 });
      const kept = passes(law, draft, { ...order, coin });
      const uniform = uniformAt({ ...at, stream: "replacement" });
      tokens.push(kept ? draft : sampleRow(law, order.teacher, uniform));
      authors.push(kept ? 0 : 1);
    }
    return { tokens, authors };
  }

  /** Raw logits f32 [V] behind a text. */
  async law(who: "student" | "teacher", context: Uint32Array): Promise<Float32Array> {
    const runner = who === "student" ? this.#student : this.#teacher;
    const cache = this.#nextCache++;
    const row = {
      cache,
      past: 0,
      tokens: context,
      maxLength: context.length,
      head: {
        first: context.length - 1,
        targets: Uint32Array.of(0),
        spec: { ...NO_SIGNAL, dense: "f32" as const },
      },
    };
    const result = await runner.run({ release: [], rows: [row] });
    await runner.run({ release: [cache], rows: [] });
    return result.rows[0]?.signal?.dense as Float32Array;
  }
}

/** The rules in float64, written out. */
function passes(
  law: Float32Array,
  token: number,
  { rule, teacher, coin }: Pick<OracleOrder, "rule" | "teacher"> & { readonly coin: number },
): boolean {
  const own = law[token] as number;
  const above = [...law].filter((logit) => logit > own);
  const max = Math.max(...law);
  const mass = (logits: readonly number[]) =>
    logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0);
  const total = mass([...law]);
  switch (rule.kind) {
    case "rank":
      return above.length < rule.k;
    case "filtered":
      return above.length === 0 || (above.length < rule.k && survives(law, token, teacher));
    case "mixture":
      return coin >= rule.share;
    case "greedy":
      return above.length === 0;
    case "top-p":
      return mass(above) / total < rule.p;
    case "min-p":
      return mass([own]) / total >= rule.p;
    default:
      throw new Error("unknown rule");
  }
}

/** Is a token left when the law went through temperature, top-k and top-p, in this order? Sorted whole, float64. */
function survives(
  law: Float32Array,
  token: number,
  { temperature, topK, topP }: SamplingParams,
): boolean {
  const order = [...law.keys()].sort((a, b) => law[b]! - law[a]! || a - b);
  const kept =
    temperature === 0 ? order.slice(0, 1) : order.slice(0, topK === 0 ? law.length : topK);
  const weights = kept.map((id) => Math.exp((law[id]! - law[kept[0]!]!) / (temperature || 1)));
  const goal = topP * weights.reduce((sum, weight) => sum + weight, 0);
  let before = 0;
  for (const [i, id] of kept.entries()) {
    if (before >= goal) return false;
    if (id === token) return true;
    before += weights[i]!;
  }
  return false;
}
