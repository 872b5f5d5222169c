import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import type { HeadRequest, Step, StepRow } from "@tandem/shared/inference/step.js";
import { listParameters } from "@tandem/shared/models/parameters.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";
import { sampleRow } from "@tandem/shared/sampling/sample-row.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { signalOf, tinyModelDir, TINY_VOCABULARY } from "../../helpers/tiny-models.js";

const TOKENS = Uint32Array.of(3, 14, 15, 92, 65, 35);

function rowOf(head?: Partial<HeadRequest>, cache = 1): StepRow {
  return {
    cache,
    past: 0,
    tokens: TOKENS,
    maxLength: 32,
    ...(head && { head: { first: 0, targets: TOKENS.slice(1), spec: NO_SIGNAL, ...head } }),
  };
}

function stepOf(...rows: StepRow[]): Step {
  return { release: [1, 2, 3], rows };
}

async function weightsOf(name: string): Promise<Map<string, Float32Array>> {
  const config = await readModelConfig(tinyModelDir(name));
  const files = await CheckpointWeights.open(tinyModelDir(name));
  const weights = new Map<string, Float32Array>();
  for (const { name: parameter, shape } of listParameters(config)) {
    weights.set(parameter, await files.read(files.require(parameter, shape)));
  }
  return weights;
}

describe("ModelRunner", () => {
  let runner: ModelRunner;
  before(async () => {
    runner = await ModelRunner.load({
      dir: tinyModelDir("llama-tied"),
      threads: 1,
      kvBytes: 64 * 1024,
    });
  });
  after(() => runner.close());

  async function denseOf(row: Partial<HeadRequest> = {}): Promise<Float32Array> {
    const { rows } = await runner.run(stepOf(rowOf({ ...row, spec: signalOf({ dense: "f32" }) })));
    return rows[0]!.signal!.dense!;
  }

  it("sends only the parts that were asked for", async () => {
    const partsOf = async (head: Partial<HeadRequest>) => {
      const { rows } = await runner.run(stepOf(rowOf(head)));
      return Object.keys(rows[0]!.signal ?? {}).sort();
    };
    const always = ["count", "from", "tauCount", "topK"];
    assert.deepEqual(await partsOf({}), []);
    assert.deepEqual(await partsOf({ spec: signalOf({ lse: true }) }), [...always, "lse"].sort());
    assert.deepEqual(
      await partsOf({ spec: signalOf({ topK: 3 }) }),
      [...always, "topIds", "topLogits", "lse", "logTail"].sort(),
    );
    assert.deepEqual(
      await partsOf({ spec: signalOf({ taus: [2] }) }),
      [...always, "taus", "lseAt"].sort(),
    );
  });

  it("takes a temperature per position", async () => {
    const dense = await denseOf();
    const taus = Float32Array.of(0.5, 1, 2, 4, 8);
    const { rows } = await runner.run(stepOf(rowOf({ spec: signalOf({ topK: 2 }), taus })));
    const { lseAt, logTailAt, topIds } = rows[0]!.signal!;
    for (let r = 0; r < 5; r++) {
      const logits = Array.from(dense.subarray(r * TINY_VOCABULARY, (r + 1) * TINY_VOCABULARY));
      const masses = logits.map((u) => Math.exp(u / taus[r]!));
      const total = masses.reduce((a, b) => a + b);
      const inside = masses[topIds![2 * r]!]! + masses[topIds![2 * r + 1]!]!;
      assert.ok(Math.abs(lseAt![r]! - Math.log(total)) < 1e-5);
      assert.ok(Math.abs(logTailAt![r]! - Math.log(1 - inside / total)) < 1e-4);
    }
  });

  it("lists the whole vocabulary when asked, with nothing outside", async () => {
    const { rows } = await runner.run(stepOf(rowOf({ spec: signalOf({ topK: TINY_VOCABULARY }) })));
    const { topIds, topLogits, logTail, lse } = rows[0]!.signal!;
    assert.ok(logTail!.every((value) => value === -Infinity));
    for (let r = 0; r < 5; r++) {
      const row = (array: Uint32Array | Float32Array) =>
        array.slice(r * TINY_VOCABULARY, (r + 1) * TINY_VOCABULARY);
      assert.equal(new Set(row(topIds!)).size, TINY_VOCABULARY);
      const total = Array.from(row(topLogits!)).reduce((sum, u) => sum + Math.exp(u), 0);
      assert.ok(Math.abs(lse![r]! - Math.log(total)) < 1e-5);
    }
  });

  it("answers ragged lists of ids in the order they were asked", async () => {
    const dense = await denseOf();
    const atIds = Uint32Array.of(96, 0, 5, 5, 1, 2, 3);
    const atOffsets = Uint32Array.of(0, 2, 2, 4, 4, 7);
    const { rows } = await runner.run(stepOf(rowOf({ atIds, atOffsets })));
    const { atLogits } = rows[0]!.signal!;
    const position = (i: number) => atOffsets.findIndex((offset) => offset > i) - 1;
    atIds.forEach((id, i) => assert.equal(atLogits![i], dense[position(i) * TINY_VOCABULARY + id]));
  });

  it("draws each position with its own uniforms", async () => {
    const dense = await denseOf();
    const random = { runSeed: 3, rngKey: 4, firstPosition: 10 };
    const { rows } = await runner.run(stepOf(rowOf({ spec: signalOf({ draws: 6 }), random })));
    const { drawOffsets, drawIds, drawCounts } = rows[0]!.signal!;
    for (let r = 0; r < 5; r++) {
      const logits = dense.slice(r * TINY_VOCABULARY, (r + 1) * TINY_VOCABULARY);
      const ids = Array.from({ length: 6 }, (_, index) =>
        sampleRow(
          logits,
          { temperature: 1, topK: 0, topP: 1 },
          uniformAt({ runSeed: 3, rngKey: 4, position: 10 + r, stream: "draws", index }),
        ),
      );
      const [begin, end] = [drawOffsets![r]!, drawOffsets![r + 1]!];
      const found = Array.from({ length: end - begin }, (_, i) =>
        Array.from({ length: drawCounts![begin + i]! }, () => drawIds![begin + i]!),
      ).flat();
      assert.deepEqual(
        found,
        ids.sort((a, b) => a - b),
      );
    }
  });

  it("draws from a tempered law and weighs every id by the law it stands for", async () => {
    const dense = await denseOf();
    const random = { runSeed: 3, rngKey: 4, firstPosition: 10 };
    const spec = signalOf({ draws: 6, drawTemperature: 1.7 });
    const { rows } = await runner.run(stepOf(rowOf({ spec, random })));
    const { drawOffsets, drawIds, drawCounts, drawWeights } = rows[0]!.signal!;
    for (let r = 0; r < 5; r++) {
      const logits = dense.slice(r * TINY_VOCABULARY, (r + 1) * TINY_VOCABULARY);
      const expected = Array.from({ length: 6 }, (_, index) =>
        sampleRow(
          logits,
          { temperature: 1.7, topK: 0, topP: 1 },
          uniformAt({ runSeed: 3, rngKey: 4, position: 10 + r, stream: "draws", index }),
        ),
      );
      const total = (tau: number) => Array.from(logits).reduce((s, u) => s + Math.exp(u / tau), 0);
      for (let at = drawOffsets![r]!; at < drawOffsets![r + 1]!; at++) {
        const id = drawIds![at]!;
        assert.equal(drawCounts![at], expected.filter((other) => other === id).length);
        const [p, s] = [1, 1.7].map((tau) => Math.exp(logits[id]! / tau) / total(tau));
        assert.ok(Math.abs(drawWeights![at]! / (p! / s!) - 1) < 1e-5);
      }
    }
  });

  it("samples from the law behind the newest token and describes what it sampled", async () => {
    const dense = await denseOf({ first: 5, targets: Uint32Array.of(0) });
    const sampling = { temperature: 1.3, topK: 40, topP: 0.9 };
    const random = { runSeed: 8, rngKey: 9, firstPosition: 2, stream: "draft" } as const;
    const { rows } = await runner.run(
      stepOf(
        rowOf({
          first: 5,
          targets: new Uint32Array(0),
          spec: signalOf({ token: true }),
          random,
          sample: sampling,
        }),
      ),
    );
    const wanted = sampleRow(
      dense,
      sampling,
      uniformAt({ runSeed: 8, rngKey: 9, position: 2, stream: "draft" }),
    );
    assert.equal(rows[0]!.sampled, wanted);
    assert.equal(rows[0]!.signal!.from, 6);
    assert.equal(rows[0]!.signal!.tokenLogit![0], dense[wanted]);
    assert.equal(rows[0]!.signal!.rank![0], dense.filter((u) => u > dense[wanted]!).length);
  });

  it("cuts the head to the real vocabulary", async () => {
    const whole = await denseOf();
    const cut = await ModelRunner.load({
      dir: tinyModelDir("llama-tied"),
      threads: 1,
      vocabulary: 93,
    });
    try {
      const { rows } = await cut.run(stepOf(rowOf({ spec: signalOf({ dense: "f32" }) })));
      for (let r = 0; r < 5; r++) {
        assert.deepEqual(
          rows[0]!.signal!.dense!.slice(r * 93, (r + 1) * 93),
          whole.slice(r * TINY_VOCABULARY, r * TINY_VOCABULARY + 93),
        );
      }
      await assert.rejects(cut.run(stepOf({ ...rowOf(), tokens: Uint32Array.of(93) })), {
        code: "INVALID_ARGUMENT",
        limit: 93,
      });
    } finally {
      await cut.close();
    }
  });

  it("computes with weights in memory what it computes with the file, and follows their change", async () => {
    const expected = await denseOf();
    const config = await readModelConfig(tinyModelDir("llama-tied"));
    const weights = await weightsOf("llama-tied");
    const student = await ModelRunner.fromWeights({ config, weights, threads: 1 });
    try {
      const dense = async () => {
        const { rows } = await student.run(stepOf(rowOf({ spec: signalOf({ dense: "f32" }) })));
        return rows[0]!.signal!.dense!;
      };
      assert.deepEqual(await dense(), expected);
      // The runner has its own copy: what was given is not looked at again.
      const given = new Map([...weights].map(([name, data]) => [name, data.slice()] as const));
      for (const data of weights.values()) data.fill(NaN);
      assert.deepEqual(await dense(), expected);
      given.get("model.norm.weight")!.fill(0);
      await student.setWeights(given);
      assert.equal(student.lengthOf(1), 0);
      assert.ok((await dense()).every((u) => u === 0));
    } finally {
      await student.close();
    }
  });

  it("fails a row whose values are not finite, and only that row", async () => {
    const config = await readModelConfig(tinyModelDir("llama-tied"));
    const weights = await weightsOf("llama-tied");
    // Token 92's embedding is broken.
    weights.get("model.embed_tokens.weight")![92 * 16] = NaN;
    const broken = await ModelRunner.fromWeights({ config, weights, threads: 1, vocabulary: 97 });
    try {
      const sane = {
        ...rowOf({ first: 0, targets: Uint32Array.of(1), spec: signalOf({ token: true }) }, 2),
        tokens: Uint32Array.of(5),
      };
      const alone = await broken.run(stepOf(sane));
      const { rows } = await broken.run(stepOf(rowOf({}, 1), sane));
      assert.equal(rows[0]!.failure!.code, "INTERNAL");
      assert.equal(rows[1]!.failure, undefined);
      assert.equal(broken.lengthOf(1), 0);
      assert.deepEqual(rows[1], alone.rows[0]);
    } finally {
      await broken.close();
    }
  });

  const refused: readonly (readonly [string, Partial<StepRow>, string, RegExp])[] = [
    ["no tokens", { tokens: new Uint32Array(0) }, "INVALID_ARGUMENT", /no tokens/],
    [
      "an id beyond the vocabulary",
      { tokens: Uint32Array.of(1, 97) },
      "INVALID_ARGUMENT",
      /id 97 at index 1/,
    ],
    ["a row longer than the model", { maxLength: 129 }, "OUT_OF_RANGE", /reach 129 positions/],
    ["a past that is not there", { past: 3 }, "FAILED_PRECONDITION", /the cache holds 0/],
    ["more laws than tokens", rowOf({ first: 2 }), "INVALID_ARGUMENT", /5 laws from 2/],
    ["no law", rowOf({ targets: new Uint32Array(0) }), "INVALID_ARGUMENT", /0 laws/],
    [
      "k beyond the vocabulary",
      rowOf({ spec: signalOf({ topK: 98 }) }),
      "INVALID_ARGUMENT",
      /top_k 98/,
    ],
    [
      "a layer that is not there",
      rowOf({ spec: signalOf({ hiddenLayers: [3] }) }),
      "INVALID_ARGUMENT",
      /layer 3/,
    ],
    [
      "a temperature of 0",
      rowOf({ spec: signalOf({ taus: [0] }) }),
      "INVALID_ARGUMENT",
      /temperature 0/,
    ],
    [
      "draws without a key",
      rowOf({ spec: signalOf({ draws: 1 }) }),
      "INVALID_ARGUMENT",
      /counted by/,
    ],
    [
      "offsets that do not fit",
      rowOf({ atIds: Uint32Array.of(1), atOffsets: Uint32Array.of(0, 1) }),
      "INVALID_ARGUMENT",
      /at_offsets/,
    ],
  ];
  for (const [what, change, code, message] of refused) {
    it(`refuses ${what} and computes nothing`, async () => {
      const sane = rowOf({}, 2);
      await assert.rejects(
        runner.run(stepOf(sane, { ...rowOf(), ...change })),
        (caught: Error & { code: string }) => {
          assert.equal(caught.code, code);
          assert.match(caught.message, message);
          return true;
        },
      );
      assert.equal(runner.lengthOf(2), 0);
    });
  }

  it("refuses a step beyond its memory as a whole, and goes on afterwards", async () => {
    const rows = Array.from({ length: 40 }, (_, i) => rowOf({}, 100 + i));
    await assert.rejects(runner.run(stepOf(...rows)), {
      code: "RESOURCE_EXHAUSTED",
      limit: 64 * 1024,
    });
    assert.equal(runner.memory.usedBytes, 0);
    assert.equal((await runner.run(stepOf(...rows.slice(0, 4)))).rows.length, 4);
  });

  it("refuses a second step while one is computed", async () => {
    const first = runner.run(stepOf(rowOf({})));
    await assert.rejects(runner.run(stepOf(rowOf({}))), { code: "FAILED_PRECONDITION" });
    await first;
  });

  it("refuses options that do not fit the model", async () => {
    const dir = tinyModelDir("llama-tied");
    await assert.rejects(ModelRunner.load({ dir, threads: 1, vocabulary: 98 }), {
      code: "FAILED_PRECONDITION",
    });
    await assert.rejects(ModelRunner.load({ dir, threads: 1, maxLength: 129 }), {
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("ModelRunner with a head for drafts", () => {
  const SAMPLINGS: readonly SamplingParams[] = [
    { temperature: 1, topK: 0, topP: 1 },
    { temperature: 0.6, topK: 0, topP: 1 },
    { temperature: 0.7, topK: 7, topP: 1 },
    { temperature: 1.2, topK: 20, topP: 0.8 },
    { temperature: 0.9, topK: 0, topP: 0.9 },
    { temperature: 0, topK: 0, topP: 1 },
  ];

  it("samples what the full head samples, rows of every kind together", async () => {
    const dir = tinyModelDir("llama-tied");
    const full = await ModelRunner.load({ dir, threads: 1 });
    const small = await ModelRunner.load({ dir, threads: 1, drafts: true });
    try {
      const rows = SAMPLINGS.flatMap((sample, kind) =>
        Array.from({ length: 12 }, (_, i) => ({
          cache: kind * 12 + i,
          past: 0,
          tokens: TOKENS.map((token) => (token + 7 * i) % TINY_VOCABULARY),
          maxLength: 32,
          head: {
            first: 5,
            targets: new Uint32Array(0),
            spec: NO_SIGNAL,
            random: { runSeed: 1, rngKey: i, firstPosition: kind, stream: "draft" } as const,
            sample,
          },
        })),
      );
      const step = { release: [], rows };
      const tokens = async (runner: ModelRunner) =>
        (await runner.run(step)).rows.map(({ sampled }) => sampled);
      assert.deepEqual(await tokens(small), await tokens(full));
    } finally {
      await Promise.all([full.close(), small.close()]);
    }
  });

  it("answers drafts and signals in one step", async () => {
    const dir = tinyModelDir("llama-tied");
    const full = await ModelRunner.load({ dir, threads: 1 });
    const both = await ModelRunner.load({ dir, threads: 1, drafts: true });
    try {
      const random = { runSeed: 1, rngKey: 2, firstPosition: 3 };
      const draft = rowOf(
        { first: 5, targets: new Uint32Array(0), random, sample: SAMPLINGS[0]! },
        1,
      );
      const step = stepOf(draft, rowOf({ spec: signalOf({ topK: 4, token: true }) }, 2));
      assert.deepEqual((await both.run(step)).rows, (await full.run(step)).rows);
    } finally {
      await Promise.all([full.close(), both.close()]);
    }
  });
});
