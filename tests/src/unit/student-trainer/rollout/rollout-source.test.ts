import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import {
  rolloutSchema,
  type RolloutInput,
} from "@tandem/student-trainer/rollout/rollout-config.js";
import { createRolloutSource } from "@tandem/student-trainer/rollout/rollout-source.js";
import {
  AUTHOR,
  type Rollout,
  type RolloutBatch,
} from "@tandem/student-trainer/rollout/rollout.js";
import { StudentEngine } from "@tandem/student-trainer/rollout/student-engine.js";

import { TOY_STOP } from "../../../helpers/toy-law.js";
import { ToyRunner } from "../../../helpers/toy-runner.js";

const ROWS = Array.from({ length: 10 }, (_, index) => ({
  index,
  promptText: "",
  prompt: Uint32Array.of(1 + (index % 9), 3),
  answer: Uint32Array.of(1 + (index % 7), TOY_STOP),
}));

function open(config: RolloutInput) {
  const runner = new ToyRunner();
  const source = createRolloutSource({
    config: rolloutSchema.parse({ rows: 4, concurrency: 3, maxResponse: 6, ...config }),
    rows: ROWS,
    shuffle: true,
    runSeed: 5,
    stopIds: [TOY_STOP],
    engine: new StudentEngine(runner),
  });
  const request = { spec: NO_SIGNAL, studentTopK: 0, progress: 0 };
  return {
    runner,
    source,
    next: (abort = new AbortController().signal, progress = 0) =>
      source.next({ ...request, abort, progress }),
  };
}

const textsOf = (batch: RolloutBatch) =>
  batch.rollouts.map(({ row, sample, epoch, response, finish }) => ({
    row,
    sample,
    epoch,
    response: [...response],
    finish,
  }));

describe("createRolloutSource", () => {
  it("walks through all rows, then through another order of them", async () => {
    const { next } = open({ kind: "supervised", rows: 5 });
    const seen: Rollout[] = [];
    for (let i = 0; i < 4; i++) seen.push(...(await next()).rollouts);
    for (const epoch of [0, 1]) {
      const rows: number[] = seen
        .filter((rollout) => rollout.epoch === epoch)
        .map(({ row }) => row);
      assert.deepEqual(
        rows.toSorted((a, b) => a - b),
        ROWS.map(({ index }) => index),
      );
    }
    assert.ok(seen.every(({ authors }) => authors.every((author) => author === AUTHOR.data)));
  });

  for (const kind of ["supervised", "on-policy", "mixed"] as const) {
    it(`goes on from its state as if it had never stopped: ${kind}`, async () => {
      const whole = open({ kind });
      const expected = [];
      for (let i = 0; i < 6; i++) expected.push(textsOf(await whole.next()));
      const first = open({ kind });
      for (let i = 0; i < 4; i++) await first.next();
      const second = open({ kind });
      second.source.restore(JSON.parse(JSON.stringify(first.source.state())));
      assert.deepEqual(
        [textsOf(await second.next()), textsOf(await second.next())],
        expected.slice(4),
      );
    });
  }

  it("does not depend on how many rows are written at once", async () => {
    const [alone, together] = [
      open({ kind: "on-policy", concurrency: 1 }),
      open({ kind: "on-policy", concurrency: 4 }),
    ];
    assert.deepEqual(textsOf(await alone.next()), textsOf(await together.next()));
  });

  it("writes every sample of a prompt afresh", async () => {
    const { next } = open({ kind: "on-policy", rows: 4, samplesPerPrompt: 4, maxResponse: 20 });
    const texts = textsOf(await next());
    assert.deepEqual(
      texts.map(({ sample }) => sample),
      [0, 1, 2, 3],
    );
    assert.equal(new Set(texts.map(({ row }) => row)).size, 1);
    assert.ok(new Set(texts.map(({ response }) => response.join())).size > 1);
  });

  it("throws one coin per batch, as often heads as lambda says", async () => {
    for (const [lambda, low, high] of [
      [0, 0, 0],
      [0.3, 40, 80],
      [1, 200, 200],
    ] as const) {
      const { next } = open({ kind: "mixed", lambda, rows: 2, maxResponse: 1 });
      let written = 0;
      for (let i = 0; i < 200; i++) {
        const { rollouts } = await next();
        const authors = new Set(rollouts.map(({ authors: who }) => who[0]));
        assert.equal(authors.size, 1, "a batch has one origin");
        if (authors.has(AUTHOR.student)) written++;
      }
      assert.ok(written >= low && written <= high, `${written} of 200 at ${lambda}`);
    }
  });

  it("throws one coin per row, the same whenever the row is written", async () => {
    const mixed = { kind: "mixed", coin: "row", lambda: 0.5, rows: 10, maxResponse: 1 } as const;
    const { next } = open(mixed);
    let written = 0;
    for (let i = 0; i < 20; i++) {
      const { rollouts } = await next();
      const own = rollouts.filter(({ authors }) => authors[0] === AUTHOR.student).length;
      if (i === 0) assert.ok(own > 0 && own < 10, "a batch has both");
      written += own;
    }
    // 200 coins: 100 ± 4.2 standard deviations.
    assert.ok(written > 70 && written < 130, `${written} of 200`);
    const [few, many] = [open({ ...mixed, rows: 5 }), open(mixed)];
    const halves = [...textsOf(await few.next()), ...textsOf(await few.next())];
    assert.deepEqual(halves, textsOf(await many.next()));
  });

  it("turns from data to the student's text where lambda says so (two stages)", async () => {
    const { next } = open({ kind: "mixed", lambda: { kind: "steps", values: [0, 1] } });
    const authorAt = async (progress: number) =>
      (await next(undefined, progress)).rollouts[0]?.authors[0];
    assert.equal(await authorAt(0.49), AUTHOR.data);
    assert.equal(await authorAt(0.5), AUTHOR.student);
  });

  it("is where it was when a batch was interrupted", async () => {
    const { next, source, runner } = open({ kind: "on-policy" });
    await next();
    const state = source.state();
    const abort = new AbortController();
    abort.abort();
    await assert.rejects(next(abort.signal), { code: "CANCELLED" });
    assert.deepEqual(source.state(), state);
    const other = open({ kind: "on-policy" });
    await other.next();
    assert.deepEqual(textsOf(await next()), textsOf(await other.next()));
    assert.ok(runner.openSlots <= 4, "slots of the interrupted batch are freed");
  });

  it("refuses supervised rows without an answer", async () => {
    const source = createRolloutSource({
      config: rolloutSchema.parse({ kind: "supervised", rows: 1 }),
      rows: [{ index: 3, promptText: "", prompt: Uint32Array.of(1) }],
      shuffle: false,
      runSeed: 0,
      stopIds: [],
    });
    await assert.rejects(
      source.next({
        spec: NO_SIGNAL,
        studentTopK: 0,
        progress: 0,
        abort: new AbortController().signal,
      }),
      { code: "INVALID_ARGUMENT", message: /row 3 .* no answer/ },
    );
  });
});
