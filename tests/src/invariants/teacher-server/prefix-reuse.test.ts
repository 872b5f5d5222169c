import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { GenerateResponse__Output } from "@tandem/proto/gen/tandem/v1/GenerateResponse.js";
import type { InterleaveResponse__Output } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { scoreOverWire, signalsOf } from "../../helpers/score-over-wire.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";

const VOCABULARY = 97;
const PREFIX = Array.from({ length: 50 }, (_, i) => (7 * i * i + 3) % VOCABULARY);

/** A common beginning of 50 tokens, but for one where `changed` says so, and a tail of its own; rows from `from` on. */
function itemOf(id: number, from: number, tail = 9, changed = -1): ScoreItem {
  const beginning = PREFIX.map((token, at) => (at === changed ? (token + 1) % VOCABULARY : token));
  const own = Array.from({ length: tail }, (_, i) => (i * 31 + id * 17) % VOCABULARY);
  return {
    id,
    tokens: u32([...beginning, ...own]),
    from,
    next: true,
    signal: {
      topK: 5,
      token: true,
      moments: true,
      draws: 3,
      dense: "DENSE_TYPE_F32",
      hiddenLayers: [0, 2],
    },
    rngKey: id,
  };
}

/** Tails of all lengths, so that laws begin before, at and behind the ends of blocks, one and two positions behind them among others. */
const alike = [51, 50, 49, 48, 47, 34, 33, 32, 31, 17, 16, 1].map((from, id) =>
  itemOf(id, from, 1 + ((id * 5) % 20)),
);
/** Within a block behind an equal first token, at its end, and in the second one. */
const almostAlike = [1, 7, 15, 20].map((changed, i) => itemOf(20 + i, 40, 9, changed));
const items = [...alike, ...almostAlike];

for (const model of ["qwen3", "gpt2"]) {
  describe(`prefix reuse of ${model}`, { timeout: 120_000 }, () => {
    let reusing: LiveServer;
    let fresh: LiveServer;
    before(async () => {
      reusing = await startLiveServer({ model: fixtureModel(model) });
      fresh = await startLiveServer({
        model: fixtureModel(model),
        args: ["--no-enable-prefix-caching"],
      });
    });
    after(async () => {
      await Promise.all([reusing.stop(), fresh.stop()]);
    });

    it("gives the bits of a fresh computation, whether sequences come together or one by one", async () => {
      const expected = await scoreOverWire(fresh.client, items);
      for (const { usage } of expected.values()) assert.equal(usage.reusedPositions, 0);
      const together = await scoreOverWire(reusing.client, items);
      assert.deepEqual(signalsOf(together, VOCABULARY), signalsOf(expected, VOCABULARY));
      for (const item of items) {
        const alone = await scoreOverWire(reusing.client, [item]);
        const id = item.id as number;
        assert.deepEqual(
          signalsOf(alone, VOCABULARY).get(id),
          signalsOf(expected, VOCABULARY).get(id),
          `item ${id}`,
        );
        const { reusedPositions, computedPositions } = alone.get(id)!.usage;
        const length = (item.tokens as Buffer).length / 4;
        // Everything before the first law that whole blocks cover.
        const covered = Math.min((item.from as number) - 1, length - (length % 16));
        assert.equal(reusedPositions, covered, `item ${id}`);
        assert.equal(reusedPositions + computedPositions, length);
      }
    });

    it("generates the same samples of one prompt, which is computed once", async () => {
      const samples = [1, 2, 3, 4];
      const written = await generate(reusing.client, samples);
      const expected = await generate(fresh.client, samples);
      assert.deepEqual(written.tokens, expected.tokens);
      assert.equal(expected.prefill, samples.length * (PREFIX.length - 1));
      // 48 positions lie in whole blocks and were computed above; the last known token is no prefill.
      assert.equal(written.prefill, samples.length * (PREFIX.length - 1 - 48));
    });

    it("fills the cache of an opened sequence ahead, with the same verdicts", async () => {
      const prompt = [5, 4, ...PREFIX];
      const ask = async ({ client }: LiveServer, pauseMs: number) => {
        const stream = new TeacherStream(client.interleave());
        const signal = { topK: 4, token: true, dense: "DENSE_TYPE_F32" } as const;
        const open = { sequence: 1, prompt: u32(prompt), maxResponse: 8, signal };
        stream.send({ opens: [{ ...open, rule: { rank: 9 } }] });
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        stream.send({ drafts: [{ sequence: 1, start: 0, tokens: u32([1, 2, 3]) }] });
        const answer = (await stream.next()) as InterleaveResponse__Output;
        await stream.finish();
        const [verdict] = answer.verdicts;
        return { frames: verdict?.frames, ranks: verdict?.draftRanks, usage: verdict?.usage };
      };
      const expected = await ask(fresh, 0);
      const patient = await ask(reusing, 200);
      assert.deepEqual([patient.frames, patient.ranks], [expected.frames, expected.ranks]);
      assert.equal(expected.usage?.prefillPositions, prompt.length - 1);
      assert.equal(patient.usage?.prefillPositions, prompt.length - 1, "its cost is named");
      assert.ok((patient.usage?.queueMs ?? 0) >= 0);
    });
  });
}

async function generate(
  client: TeacherClient,
  samples: readonly number[],
): Promise<{ readonly tokens: Map<number, number[]>; readonly prefill: number }> {
  const tokens = new Map(samples.map((sample) => [sample, [] as number[]]));
  let prefill = 0;
  const call = client.generate({
    items: samples.map((rngKey) => ({ sequence: rngKey, rngKey, prompt: u32(PREFIX) })),
    sampling: { temperature: 1 },
    maxResponse: 6,
    signal: { token: true },
  });
  for await (const { chunks, errors } of call as AsyncIterable<GenerateResponse__Output>) {
    assert.deepEqual(errors, []);
    for (const { sequence, tokens: bytes, usage } of chunks) {
      tokens.get(sequence)?.push(...new Uint32Array(new Uint8Array(bytes).buffer));
      prefill += usage?.prefillPositions ?? 0;
    }
  }
  return { tokens, prefill };
}
