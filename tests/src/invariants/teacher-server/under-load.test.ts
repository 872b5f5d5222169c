import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import type { Priority } from "@tandem/proto/gen/tandem/v1/Priority.js";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import { kvBlockBytes } from "@tandem/shared/inference/kv-blocks.js";
import { philox4x32 } from "@tandem/shared/numeric/philox.js";
import { concatSignals } from "@tandem/shared/wire/concat-signals.js";
import { fromSignalFrame } from "@tandem/shared/wire/signal-frame.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { scoreOverWire, signalsOf } from "../../helpers/score-over-wire.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";

const VOCABULARY = 97;
const PRIORITIES = ["LOW", "NORMAL", "HIGH"].map((name) => `PRIORITY_${name}` as Priority);

/** A number below `bound`, the same for the same place. */
function pick(place: readonly [number, number, number], bound: number): number {
  return (philox4x32([...place, 0], [5, 6])[0] as number) % bound;
}

/** Forty questions about texts that grow out of four beginnings. */
const questions: readonly ScoreItem[] = Array.from({ length: 40 }, (_, i) => {
  const beginning = pick([i, 0, 0], 4);
  const length = 2 + pick([i, 1, 0], 100);
  const shared = pick([i, 2, 0], 64);
  const tokens = Array.from({ length }, (__, t) =>
    pick([t < shared ? beginning : 100 + i, t, 1], VOCABULARY),
  );
  return {
    tokens: u32(tokens),
    from: 1 + pick([i, 3, 0], length - 1),
    signal: {
      topK: 4,
      token: true,
      draws: 2,
      dense: "DENSE_TYPE_F32",
      encoding: i % 2 === 0 ? "ENCODING_PLAIN" : "ENCODING_COMPACT",
    },
    rngKey: i,
  };
});

/** What a stream got, by question; it asks at random, often twice, with any priority, and gives up a third. */
async function ask(server: LiveServer, client: number): Promise<[number, TeacherSignal][]> {
  const metadata = new Metadata();
  metadata.set("tandem-client", `client-${client % 2}`);
  const stream = new TeacherStream(server.client.score(metadata));
  const chosen = Array.from({ length: 60 }, (_, id) => pick([client, id, 2], questions.length));
  chosen.forEach((question, id) => {
    stream.send({
      items: [
        {
          ...questions[question],
          id,
          priority: PRIORITIES[pick([client, id, 3], 3)] as Priority,
        },
      ],
      cancel: id % 3 === 2 ? [id - 1] : [],
    });
  });
  const frames = new Map<number, SignalFrame__Output[]>();
  const answers: [number, TeacherSignal][] = [];
  for (let open = chosen.length; open > 0;) {
    const message = (await stream.next()) as ScoreResponse__Output;
    for (const error of message.errors) assert.equal(error.code, "ERROR_CODE_CANCELLED");
    open -= message.errors.length;
    for (const result of message.results) {
      const own = [...(frames.get(result.id) ?? []), ...result.frames];
      frames.set(result.id, own);
      if (!result.last) continue;
      open--;
      const signal = concatSignals(own.map((frame) => fromSignalFrame(frame, VOCABULARY)));
      answers.push([chosen[result.id] as number, signal]);
    }
  }
  await stream.finish();
  return answers;
}

describe("answers under load", { timeout: 120_000 }, () => {
  let calm: LiveServer;
  let busy: LiveServer;
  before(async () => {
    const model = fixtureModel("qwen3");
    calm = await startLiveServer({ model, args: ["--no-enable-prefix-caching"] });
    // Narrow steps, a KV pool for a few rows, blocks and answers for fewer than are asked about.
    const block = kvBlockBytes({ layers: 2, kvHeads: 2, headDim: 8 });
    const limits = {
      "max-num-batched-tokens": 23,
      "max-num-seqs": 6,
      "max-wait-ms": 20,
      "kv-cache-memory-bytes": 60 * block,
      "prefix-cache-memory-bytes": 9 * block,
      "store-memory-bytes": 60_000,
    };
    const args = Object.entries(limits).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
    busy = await startLiveServer({ model, args });
  });
  after(async () => {
    await Promise.all([calm.stop(), busy.stop()]);
  });

  it("have the same bits whatever the neighbours, chunks, caches, priorities and cancellations", async () => {
    const expected = new Map<number, TeacherSignal>();
    for (const [i, question] of questions.entries()) {
      const alone = await scoreOverWire(calm.client, [{ ...question, id: i }]);
      expected.set(i, signalsOf(alone, VOCABULARY).get(i) as TeacherSignal);
    }
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all([1, 2, 3].map((client) => ask(busy, client + 3 * round)));
      for (const [question, signal] of answers.flat())
        assert.deepEqual(signal, expected.get(question), `question ${question}`);
      assert.ok(answers.flat().length >= 120, "most are answered");
    }
    const metrics = await (await fetch(`http://${busy.httpAddress}/metrics`)).text();
    const read = (name: string) => Number(metrics.match(new RegExp(`^${name} (\\S+)`, "m"))?.[1]);
    for (const name of [
      "teacher_prefix_cache_positions",
      "teacher_prefix_cache_evictions",
      "teacher_coalesced_items",
      "teacher_saved_positions_total",
      'teacher_store_lookups_total{outcome="memory"}',
    ])
      assert.ok(read(name) > 0, `${name} is ${read(name)}: nothing was tried`);
  });
});
