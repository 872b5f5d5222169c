import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";
import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import { sampleRow } from "@tandem/shared/sampling/sample-row.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { signalOf, tinyModelDir, TINY_VOCABULARY } from "../../helpers/tiny-models.js";

const RUN_SEED = 77;
const LENGTH = 24;
const SAMPLING: SamplingParams = { temperature: 0.8, topK: 20, topP: 0.95 };
const RULES: readonly AcceptanceRule[] = [
  { kind: "rank", k: 8 },
  { kind: "greedy" },
  { kind: "top-p", p: 0.9 },
  { kind: "min-p", p: 0.02 },
  { kind: "filtered", k: 6 },
];

/** The student: any fixed function of place and key will do. Every third draft is deliberately good. */
function draftAt(prefix: readonly number[], best: number, key: number): number {
  const place = prefix.length;
  return place % 3 === 0 ? best : (place * place * 11 + key * 5 + prefix.at(-1)!) % TINY_VOCABULARY;
}

/** The rule as written down, in float64 on all logits. */
function accepts(logits: Float32Array, token: number, rule: AcceptanceRule): boolean {
  const own = logits[token]!;
  const maximum = Math.max(...logits);
  const weights = Array.from(logits, (u) => Math.exp(u - maximum));
  const total = weights.reduce((a, b) => a + b);
  const above = weights.reduce((sum, w, v) => sum + (logits[v]! > own ? w : 0), 0) / total;
  const rank = logits.reduce((count, u) => count + (u > own ? 1 : 0), 0);
  switch (rule.kind) {
    case "rank":
      return rank < rule.k;
    case "greedy":
      return rank === 0;
    case "top-p":
      return above < rule.p;
    case "min-p":
      return weights[token]! / total >= rule.p;
    case "mixture":
      throw new Error("not of the law alone");
    case "filtered":
      return rank === 0 || (rank < rule.k && survives(logits, token));
  }
}

/** Does the token outlive temperature, top-k and top-p, in this order? */
function survives(logits: Float32Array, token: number): boolean {
  const { temperature, topK, topP } = SAMPLING;
  const kept = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b).slice(0, topK);
  const weights = kept.map((id) => Math.exp((logits[id]! - logits[kept[0]!]!) / temperature));
  const place = kept.indexOf(token);
  const before = weights.slice(0, place).reduce((sum, weight) => sum + weight, 0);
  return place >= 0 && before < topP * weights.reduce((sum, weight) => sum + weight, 0);
}

/** The smaller one makes the head run row by row, and fetch the logits of rejected drafts in a run of their own. */
for (const headBytes of [256 << 20, 2000])
  describe(`verify with ${headBytes} bytes for the head`, () => {
    let runner: ModelRunner;
    before(async () => {
      runner = await ModelRunner.load({ dir: tinyModelDir("llama-tied"), threads: 1, headBytes });
    });
    after(() => runner.close());

    const laws = new Map<string, Promise<Float32Array>>();

    /** All logits behind the last token, computed once. */
    function lawBehind(prefix: readonly number[]): Promise<Float32Array> {
      const key = prefix.join(",");
      const law = laws.get(key) ?? computeLaw(prefix);
      laws.set(key, law);
      return law;
    }

    /** Without any cache. */
    async function computeLaw(prefix: readonly number[]): Promise<Float32Array> {
      const { rows } = await runner.run({
        release: [999],

        rows: [
          {
            cache: 999,
            past: 0,
            tokens: Uint32Array.from(prefix),
            maxLength: 64,
            head: {
              first: prefix.length - 1,
              targets: new Uint32Array(1),
              spec: signalOf({ dense: "f32" }),
            },
          },
        ],
      });
      return rows[0]!.signal!.dense!;
    }

    /** One token at a time: draft, judge, replace. */
    async function oracle(
      prompt: readonly number[],
      rule: AcceptanceRule,
      rngKey: number,
    ): Promise<number[]> {
      const text = [...prompt];
      while (text.length < prompt.length + LENGTH) {
        const law = await lawBehind(text);
        const draft = draftAt(text, law.indexOf(Math.max(...law)), rngKey);
        const point = {
          runSeed: RUN_SEED,
          rngKey,
          position: text.length - prompt.length,
          stream: "replacement",
        } as const;
        text.push(accepts(law, draft, rule) ? draft : sampleRow(law, SAMPLING, uniformAt(point)));
      }
      return text;
    }

    for (const rule of RULES) {
      for (const gamma of [1, 3, 8]) {
        it(`in blocks of ${gamma} equals judging token by token, rule ${rule.kind}`, async () => {
          const prompts = [[5, 9, 70], [33], [1, 2, 3, 4, 5, 6, 7, 8, 9]];
          const expected: number[][] = [];
          for (const [key, prompt] of prompts.entries())
            expected.push(await oracle(prompt, rule, key));
          const texts = prompts.map((prompt) => [...prompt]);
          const pasts = prompts.map(() => 0);
          await runner.run({ release: [0, 1, 2], rows: [] });
          for (;;) {
            const live = prompts.flatMap((prompt, i) =>
              texts[i]!.length < prompt.length + LENGTH ? [i] : [],
            );
            if (live.length === 0) break;
            const drafts = new Map<number, number[]>();
            for (const i of live) drafts.set(i, await draftBlock(i, gamma));
            const result = await runner.run({
              release: [],

              rows: live.map((i) => {
                const block = drafts.get(i)!;
                const tokens = [...texts[i]!.slice(pasts[i]), ...block.slice(0, -1)];
                return {
                  cache: i,
                  past: pasts[i]!,
                  tokens: Uint32Array.from(tokens),
                  maxLength: 64,
                  head: {
                    first: tokens.length - block.length,
                    targets: Uint32Array.from(block),
                    spec: signalOf({ topK: 4, token: true }),
                    random: {
                      runSeed: RUN_SEED,
                      rngKey: i,
                      firstPosition: texts[i]!.length - prompts[i]!.length,
                    },
                    verify: { rule, sampling: SAMPLING },
                  },
                };
              }),
            });
            for (const [r, i] of live.entries()) {
              const { verdict, signal } = result.rows[r]!;
              const { accepted, replacement, draftRanks } = verdict!;
              const block = drafts.get(i)!;
              assert.equal(draftRanks.length, Math.min(accepted + 1, block.length));
              assert.equal(signal!.count, accepted + (replacement === undefined ? 0 : 1));
              assert.equal(signal!.from, texts[i]!.length);
              // What has been computed for the kept tokens but the last stays in the cache.
              texts[i]!.push(
                ...block.slice(0, accepted),
                ...(replacement === undefined ? [] : [replacement]),
              );
              pasts[i] = texts[i]!.length - 1;
            }
          }
          texts.forEach((text, i) => assert.deepEqual(text, expected[i]));

          async function draftBlock(i: number, count: number): Promise<number[]> {
            const text = [...texts[i]!];
            const size = Math.min(count, prompts[i]!.length + LENGTH - text.length);
            for (let j = 0; j < size; j++) {
              const law = await lawBehind(text);
              text.push(draftAt(text, law.indexOf(Math.max(...law)), i));
            }
            return text.slice(texts[i]!.length);
          }
        });
      }
    }

    it("describes the replacement, not the draft it replaced", async () => {
      const prompt = [5, 9, 70];
      const law = await lawBehind(prompt);
      const worst = law.indexOf(Math.min(...law));
      const { rows } = await runner.run({
        release: [0],

        rows: [
          {
            cache: 0,
            past: 0,
            tokens: Uint32Array.from(prompt),
            maxLength: 64,
            head: {
              first: 2,
              targets: Uint32Array.of(worst),
              spec: signalOf({ token: true }),
              random: { runSeed: 1, rngKey: 2, firstPosition: 0 },
              verify: { rule: { kind: "greedy" }, sampling: SAMPLING },
            },
          },
        ],
      });
      const { verdict, signal } = rows[0]!;
      assert.deepEqual(Array.from(verdict!.draftRanks), [TINY_VOCABULARY - 1]);
      assert.equal(signal!.tokenLogit![0], law[verdict!.replacement!]);
      assert.equal(signal!.rank![0], law.filter((u) => u > law[verdict!.replacement!]!).length);
    });
  });
