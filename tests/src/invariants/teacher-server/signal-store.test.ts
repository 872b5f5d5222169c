import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { scoreOverWire, signalsOf, type WireScore } from "../../helpers/score-over-wire.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";

const VOCABULARY = 97;

/** Different in length, rows, parts and encoding; together within one step, so that no frame is cut in two. */
const items: readonly ScoreItem[] = Array.from({ length: 10 }, (_, id) => ({
  id,
  tokens: u32(Array.from({ length: 4 + 8 * id }, (__, i) => (i * i + 5 * id) % VOCABULARY)),
  from: 1 + id,
  next: id % 2 === 0,
  signal: {
    topK: 7,
    token: true,
    moments: true,
    draws: 3,
    dense: "DENSE_TYPE_F16",
    hiddenLayers: [1],
    encoding: id % 3 === 0 ? "ENCODING_PLAIN" : "ENCODING_COMPACT",
  },
  runSeed: 4,
  rngKey: 90 + id,
}));

function framesOf(scores: ReadonlyMap<number, WireScore>): unknown[] {
  return items.map(({ id }) => scores.get(id as number)?.frames);
}

function savedOf(scores: ReadonlyMap<number, WireScore>): number[] {
  return items.map(({ id }) => scores.get(id as number)!.usage.savedPositions);
}

/** Rows' positions: what a hit saves. */
const whole = items.map(
  ({ tokens, next }) => (tokens as Buffer).length / 4 - (next === true ? 0 : 1),
);
const nothing = items.map(() => 0);

describe("the store of finished signals", { timeout: 180_000 }, () => {
  let dir: string;
  let plain: LiveServer;
  let computed: Map<number, WireScore>;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "tandem-store-"));
    plain = await startLiveServer({ model: fixtureModel("qwen3") });
    computed = await scoreOverWire(plain.client, items);
  });
  after(async () => {
    await plain.stop();
    rmSync(dir, { recursive: true });
  });

  it("computes again without one", async () => {
    assert.deepEqual(savedOf(await scoreOverWire(plain.client, items)), nothing);
  });

  it("gives from memory the bytes that were computed, to any stream and beside what is new", async () => {
    const args = ["--store-memory-bytes", "10000000"];
    const server = await startLiveServer({ model: fixtureModel("qwen3"), args });
    try {
      const first = await scoreOverWire(server.client, items);
      assert.deepEqual(framesOf(first), framesOf(computed));
      assert.deepEqual(savedOf(first), nothing);
      const second = await scoreOverWire(server.client, items);
      assert.deepEqual(framesOf(second), framesOf(computed));
      assert.deepEqual(savedOf(second), whole);
      const others: readonly ScoreItem[] = [
        { ...items[4], id: 1, from: 2 },
        { ...items[4], id: 2, rngKey: 5 },
        { ...items[4], id: 3, signal: { ...items[4]!.signal, topK: 6 } },
        { ...items[4], id: 4, next: false },
        { ...items[4], id: 6, from: 4, next: false },
        { ...items[4], id: 5 },
      ];
      const mixed = await scoreOverWire(server.client, others);
      assert.deepEqual(
        others.map(({ id }) => mixed.get(id as number)!.usage.savedPositions > 0),
        [false, false, false, false, false, true],
        "another question is another answer",
      );
      const fresh = await scoreOverWire(plain.client, others);
      assert.deepEqual(signalsOf(mixed, VOCABULARY), signalsOf(fresh, VOCABULARY));
    } finally {
      await server.stop();
    }
  });

  it("gives from disk what another process computed, and computes what is damaged there", async () => {
    const args = ["--store-path", join(dir, "signals")];
    const first = await startLiveServer({ model: fixtureModel("qwen3"), args });
    await scoreOverWire(first.client, items);
    await first.stop();
    const second = await startLiveServer({ model: fixtureModel("qwen3"), args });
    const found = await scoreOverWire(second.client, items);
    const metrics = await (await fetch(`http://${second.httpAddress}/metrics`)).text();
    await second.stop();
    // Ten values of one page each, with the overhead of an entry, at least.
    const [, onDisk] = /^teacher_store_disk_bytes (\d+)$/m.exec(metrics) ?? [];
    assert.ok(Number(onDisk) >= items.length * (4096 + 160), onDisk);
    assert.deepEqual(framesOf(found), framesOf(computed));
    assert.deepEqual(savedOf(found), whole);

    const file = join(dir, "signals", "signals.mdb");
    const bytes = readFileSync(file);
    let damaged = 0;
    // `TSF1` begins every value; the byte 40 behind lies within it.
    for (let at = bytes.indexOf("TSF1"); at >= 0; at = bytes.indexOf("TSF1", at + 1)) {
      bytes[at + 40] = (bytes[at + 40] as number) ^ 0xff;
      damaged++;
    }
    assert.ok(damaged >= items.length);
    writeFileSync(file, bytes);
    const third = await startLiveServer({ model: fixtureModel("qwen3"), args });
    const again = await scoreOverWire(third.client, items);
    await third.stop();
    assert.deepEqual(framesOf(again), framesOf(computed));
    assert.deepEqual(savedOf(again), nothing);
  });

  it("takes no answer of other arithmetic with the same weights for its own", async () => {
    const model = join(dir, "model");
    cpSync(fixtureModel("qwen3"), model, { recursive: true });
    const store = ["--store-path", join(dir, "arithmetic")];
    const served = async (args: readonly string[] = []) => {
      const server = await startLiveServer({ model, args: [...store, ...args] });
      const scores = await scoreOverWire(server.client, items);
      await server.stop();
      return scores;
    };
    await served();
    assert.deepEqual(savedOf(await served()), whole);
    assert.deepEqual(savedOf(await served(["--quantization", "int8"])), nothing);

    const file = join(model, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...config, rms_norm_eps: 0.1 }));
    const other = await served();
    assert.deepEqual(savedOf(other), nothing);
    assert.notDeepEqual(framesOf(other), framesOf(computed));

    writeFileSync(file, JSON.stringify({ ...config, initializer_range: 0.5 }));
    assert.deepEqual(savedOf(await served()), whole, "what changes no answer changes no key");
  });

  it("answers equal items that are in flight at once with one computation, each cancelled by itself", async () => {
    const item = items[8] as ScoreItem;
    const copies = [1, 2, 3, 4].map((id) => ({ ...item, id }));
    const stream = new TeacherStream(plain.client.score());
    const other = scoreOverWire(plain.client, [item]);
    stream.send({ items: copies });
    stream.send({ cancel: [1, 3] });
    const frames = new Map<number, unknown[]>();
    let cancelled = 0;
    let answered = 0;
    let computedItems = 0;
    while (answered + cancelled < copies.length) {
      const message = (await stream.next()) as ScoreResponse__Output;
      cancelled += message.errors.length;
      for (const result of message.results) {
        frames.set(result.id, [...(frames.get(result.id) ?? []), ...result.frames]);
        if (!result.last) continue;
        answered++;
        if (result.usage?.savedPositions === 0) computedItems++;
      }
    }
    await stream.finish();
    const beside = (await other).get(8)!;
    for (const id of [2, 4]) assert.deepEqual(frames.get(id), computed.get(8)?.frames);
    assert.deepEqual(beside.frames, computed.get(8)?.frames);
    if (beside.usage.savedPositions === 0) computedItems++;
    // Two streams may arrive a step apart; within one nothing is computed twice.
    assert.ok(computedItems <= 2, `${computedItems} of 5`);
  });
});
