import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import type { StepRow } from "@tandem/shared/inference/step.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";

import { readTensors, signalOf, tinyModelDir } from "../../helpers/tiny-models.js";

const MAX_LENGTH = 48;

interface Writing {
  readonly prompt: readonly number[];
  /** Tokens to draw. */
  readonly draws: number;
  readonly sample: SamplingParams;
}

const plain = (temperature: number): SamplingParams => ({ temperature, topK: 0, topP: 1 });

/** Long and short prompts, long and short drafts, one that ends at its last position. */
const ROWS: readonly Writing[] = [
  { prompt: [5, 6, 7, 8, 9], draws: 4, sample: plain(1) },
  { prompt: [11], draws: 8, sample: plain(0.7) },
  { prompt: Array.from({ length: 17 }, (_, i) => (3 * i) % 97), draws: 1, sample: plain(1.5) },
  { prompt: [90, 2, 44], draws: 6, sample: plain(0) },
  { prompt: Array.from({ length: 41 }, (_, i) => (7 * i) % 97), draws: 8, sample: plain(1) },
];

function toRow(writing: Writing, cache: number): StepRow {
  const { prompt, draws, sample } = writing;
  return {
    cache,
    past: 0,
    tokens: Uint32Array.from(prompt),
    maxLength: MAX_LENGTH,
    head: {
      first: prompt.length - 1,
      targets: new Uint32Array(0),
      spec: NO_SIGNAL,
      random: { runSeed: 4, rngKey: cache, firstPosition: 2, stream: "draft" },
      sample,
      ahead: draws - 1,
    },
  };
}

for (const model of ["llama-tied", "llama-bf16", "qwen3", "gpt2"]) {
  describe(`drafts of ${model} in one run`, () => {
    let stepwise: ModelRunner;
    let writer: ModelRunner;
    before(async () => {
      const options = { dir: tinyModelDir(model), threads: 1, maxLength: MAX_LENGTH };
      stepwise = await ModelRunner.load(options);
      writer = await ModelRunner.load({ ...options, drafts: true });
    });
    after(() => Promise.all([stepwise.close(), writer.close()]));

    /** The oracle: the full head, one token per step, one row per step. */
    async function oneByOne(writing: Writing, cache: number): Promise<number[]> {
      const drawn: number[] = [];
      let row = toRow({ ...writing, draws: 1 }, cache);
      while (drawn.length < writing.draws) {
        const { head, past, tokens } = row;
        const result = await stepwise.run({ release: [], rows: [row] });
        const token = result.rows[0]!.sampled!;
        drawn.push(token);
        const random = { ...head!.random!, firstPosition: 2 + drawn.length };
        row = {
          ...row,
          past: past + tokens.length,
          tokens: Uint32Array.of(token),
          head: { ...head!, first: 0, random },
        };
      }
      return drawn;
    }

    async function together(rows: readonly Writing[]): Promise<number[][]> {
      const caches = rows.map((row) => ROWS.indexOf(row) + 1);
      const step = { release: caches, rows: rows.map((row, i) => toRow(row, caches[i]!)) };
      const result = await writer.run(step);
      return result.rows.map(({ sampled, ahead = [] }) => [sampled!, ...ahead]);
    }

    it("are what one token per step gives, whoever writes beside", async () => {
      const expected: number[][] = [];
      for (const [i, row] of ROWS.entries()) expected.push(await oneByOne(row, i + 1));
      assert.deepEqual(await together(ROWS), expected);
      for (const [i, row] of ROWS.entries()) {
        assert.deepEqual(await together([row]), [expected[i]], `row ${i} by itself`);
      }
    });

    it("leave the slots as single steps do", async () => {
      const written = await together(ROWS);
      const dense = signalOf({ dense: "f32" });
      // The last row is full.
      const following = ROWS.slice(0, -1).map(({ prompt, draws }, i): StepRow => {
        const past = prompt.length + draws - 1;
        const tokens = Uint32Array.of(written[i]!.at(-1)!);
        return {
          cache: i + 1,
          past,
          tokens,
          maxLength: MAX_LENGTH,
          head: { first: 0, targets: Uint32Array.of(1), spec: dense },
        };
      });
      for (const [i, row] of ROWS.entries()) {
        await stepwise.run({ release: [i + 1], rows: [] });
        await oneByOne(row, i + 1);
      }
      const bits = async (runner: ModelRunner) =>
        (await runner.run({ release: [], rows: following })).rows.map(
          ({ signal }) => signal!.dense,
        );
      const actual = await bits(writer);
      assert.deepEqual(actual, await bits(stepwise));
    });

    it("count every position that was computed", async () => {
      const result = await writer.run({
        release: [1, 2],
        rows: [toRow(ROWS[0]!, 1), toRow(ROWS[1]!, 2)],
      });
      assert.equal(result.computedPositions, 5 + 3 + (1 + 7));
      assert.equal(result.headPositions, 4 + 8);
    });
  });
}

describe("a row of the writer whose values are not finite", () => {
  it("fails by itself", async () => {
    const dir = tinyModelDir("llama-bias");
    const options = { threads: 1, maxLength: MAX_LENGTH };
    const sound = await ModelRunner.load({ dir, drafts: true, ...options });
    const { config } = sound;
    const weights = new Map(await readTensors(join(dir, "model.safetensors")));
    // The embedding of a token of the first row; the head has weights of its own.
    weights.get("model.embed_tokens.weight")![6 * config.hiddenSize] = NaN;
    const broken = await ModelRunner.fromWeights({ config, weights, ...options });
    try {
      const rows = [toRow(ROWS[0]!, 1), toRow(ROWS[3]!, 2)];
      const [bad, good] = (await broken.run({ release: [], rows })).rows;
      assert.equal(bad!.failure?.code, "INTERNAL");
      assert.equal(bad!.sampled, undefined);
      assert.deepEqual(good, (await sound.run({ release: [], rows: [rows[1]!] })).rows[0]);
      assert.equal(broken.lengthOf(1), 0);
      assert.equal(broken.lengthOf(2), 3 + 5);
    } finally {
      await Promise.all([sound.close(), broken.close()]);
    }
  });
});
