import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { GenerateResponse__Output } from "@tandem/proto/gen/tandem/v1/GenerateResponse.js";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import type { SignalSpec } from "@tandem/proto/gen/tandem/v1/SignalSpec.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { concatSignals } from "@tandem/shared/wire/concat-signals.js";
import { fromSignalFrame } from "@tandem/shared/wire/signal-frame.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { fromU32, TeacherStream, u32 } from "../../helpers/teacher-stream.js";
import { LawSource } from "./law-source.js";
import { writeTokenByToken, type Rules, type Sequence } from "./skd-oracle.js";

const VOCABULARY = 97;

const everything: SignalSpec = {
  topK: 5,
  token: true,
  moments: true,
  taus: [0.5, 3],
  draws: 4,
  dense: "DENSE_TYPE_F32",
  hiddenLayers: [0, 2],
};

/** Eight sequences of different lengths, each with its own ragged list of asked ids. */
const items: readonly ScoreItem[] = Array.from({ length: 8 }, (_, id) => {
  const length = 3 + 13 * id;
  const from = 1 + id;
  const rows = length - from;
  const offsets = Array.from({ length: rows + 1 }, (_, row) => Math.floor((row * 3) / 2));
  return {
    id,
    tokens: u32(Array.from({ length }, (_, i) => (i * i + 5 * id) % VOCABULARY)),
    from,
    signal: everything,
    atOffsets: u32(offsets),
    atIds: u32(Array.from({ length: offsets[rows] as number }, (_, i) => (i * 11) % VOCABULARY)),
    runSeed: 4,
    rngKey: 90 + id,
  };
});

async function score(
  client: TeacherClient,
  wanted: readonly ScoreItem[],
): Promise<Map<number, TeacherSignal>> {
  const stream = new TeacherStream(client.score());
  stream.send({ items: [...wanted] });
  const frames = new Map<number, SignalFrame__Output[]>();
  for (let open = wanted.length; open > 0;) {
    const message = await stream.next();
    assert.deepEqual(message?.errors, []);
    for (const result of message?.results ?? []) {
      frames.set(result.id, [...(frames.get(result.id) ?? []), ...result.frames]);
      if (result.last) open--;
    }
  }
  await stream.finish();
  return new Map(
    [...frames].map(([id, list]) => [
      id,
      concatSignals(list.map((frame) => fromSignalFrame(frame, VOCABULARY))),
    ]),
  );
}

describe("scoring over gRPC", { timeout: 180_000 }, () => {
  let server: LiveServer;
  let narrow: LiveServer;
  let together: Map<number, TeacherSignal>;
  before(async () => {
    server = await startLiveServer({ model: fixtureModel("qwen3") });
    narrow = await startLiveServer({
      model: fixtureModel("qwen3"),
      args: ["--max-num-batched-tokens", "7", "--max-num-seqs", "3"],
    });
    together = await score(server.client, items);
  });
  after(async () => {
    await Promise.all([server.stop(), narrow.stop()]);
  });

  it("gives every item the same bits alone as in a stream with others", async () => {
    for (const item of items) {
      const alone = await score(server.client, [item]);
      assert.deepEqual(
        alone.get(item.id as number),
        together.get(item.id as number),
        `item ${item.id}`,
      );
    }
  });

  it("gives the same bits when sequences are cut into steps of seven positions", async () => {
    const pieces = await score(narrow.client, items);
    for (const { id } of items)
      assert.deepEqual(pieces.get(id as number), together.get(id as number), `item ${id}`);
  });

  it("gives the same bits in COMPACT too when sequences are cut into steps", async () => {
    const compact = items.map((item) => ({
      ...item,
      signal: { ...everything, encoding: "ENCODING_COMPACT" } as const,
    }));
    const whole = await score(server.client, compact);
    const pieces = await score(narrow.client, compact);
    for (const { id } of items)
      assert.deepEqual(pieces.get(id as number), whole.get(id as number), `item ${id}`);
  });

  it("gives PLAIN's numbers in COMPACT, logits within the stated error", async () => {
    const wanted = items.map((item) => ({
      ...item,
      signal: { ...everything, encoding: "ENCODING_COMPACT", maxLogitError: 0.05 } as const,
    }));
    const compact = await score(server.client, wanted);
    for (const { id } of items) {
      const [a, b] = [compact.get(id as number), together.get(id as number)] as [
        TeacherSignal,
        TeacherSignal,
      ];
      for (const part of [
        "lse",
        "logTail",
        "tokenLogit",
        "rank",
        "meanLogit",
        "entropy",
        "lseAt",
        "drawIds",
        "drawCounts",
      ] as const) {
        assert.deepEqual(a[part], b[part], part);
      }
      assertAllClose(a.dense!, b.dense!, { rtol: 0, atol: 0.05 });
      const logits = (signal: TeacherSignal): Map<number, number> =>
        new Map(
          [...signal.topIds!].map((token, i) => [
            Math.floor(i / 5) * VOCABULARY + token,
            signal.topLogits![i] as number,
          ]),
        );
      const [la, lb] = [logits(a), logits(b)];
      assert.deepEqual(new Set(la.keys()), new Set(lb.keys()));
      assertAllClose(
        [...lb.keys()].map((key) => la.get(key) as number),
        [...lb.values()],
        { rtol: 0, atol: 0.05 },
      );
      assertAllClose(a.atLogits!, b.atLogits!, { rtol: 0, atol: 0.05 });
    }
  });

  it("describes the law behind the last token for the teacher's best token", async () => {
    const tokens = [3, 1, 4, 1, 5];
    const scored = await score(server.client, [
      { id: 1, tokens: u32(tokens), from: 5, next: true, signal: { topK: 2, token: true } },
    ]);
    const signal = scored.get(1) as TeacherSignal;
    assert.deepEqual([signal.from, signal.count], [5, 1]);
    assert.equal(signal.rank?.[0], 0);
    assert.equal(signal.tokenLogit?.[0], signal.topLogits?.[0]);
  });

  it("generates what sampling token by token from full forward passes gives, alone and with others", async () => {
    const laws = new LawSource(server.client);
    const rules: Rules = { rule: { minP: 1 }, temperature: 0.8, topK: 20, topP: 0.95, runSeed: 12 };
    const sequences: readonly Sequence[] = [
      { id: 1, rngKey: 71, prompt: [1, 2, 3], maxResponse: 14, stopIds: [2, 10, 11, 12, 13] },
      { id: 2, rngKey: 72, prompt: [1, 2, 3], maxResponse: 14, stopIds: [2, 10, 11, 12, 13] },
      { id: 3, rngKey: 73, prompt: [50], maxResponse: 14, stopIds: [2, 10, 11, 12, 13] },
    ];
    // A student whose every proposal is rejected leaves all the writing to the teacher.
    const expected = await Promise.all(
      sequences.map((sequence) =>
        writeTokenByToken(sequence, rules, () => Promise.resolve(0), laws),
      ),
    );
    const { temperature, topK, topP, runSeed } = rules;
    const generate = (
      wanted: readonly Sequence[],
    ): Promise<Map<number, { tokens: number[]; finish: string; from: number }>> =>
      new Promise((resolve, reject) => {
        const written = new Map<number, { tokens: number[]; finish: string; from: number }>();
        const call = server.client.generate({
          items: wanted.map(({ id, rngKey, prompt }) => ({
            sequence: id,
            rngKey,
            prompt: u32(prompt),
          })),
          sampling: { temperature, topK, topP },
          maxResponse: 14,
          stopIds: [2, 10, 11, 12, 13],
          runSeed,
          signal: { token: true },
        });
        call.on("data", ({ chunks }: GenerateResponse__Output) => {
          for (const { sequence, tokens, finish, frames } of chunks) {
            const before = written.get(sequence) ?? {
              tokens: [],
              finish: "",
              from: frames[0]?.from ?? 0,
            };
            written.set(sequence, {
              ...before,
              tokens: [...before.tokens, ...fromU32(tokens)],
              finish,
            });
          }
        });
        call.on("end", () => resolve(written));
        call.on("error", reject);
      });
    const all = await generate(sequences);
    const alone = await generate([sequences[1] as Sequence]);
    sequences.forEach(({ id, prompt }, i) => {
      const { tokens, finish } = expected[i] as (typeof expected)[number];
      assert.deepEqual(all.get(id), { tokens, finish, from: prompt.length }, `sequence ${id}`);
    });
    assert.deepEqual(alone.get(2), all.get(2));
    assert.notDeepEqual(
      all.get(1)?.tokens,
      all.get(2)?.tokens,
      "the same prompt under another key is written afresh",
    );
  });
});
