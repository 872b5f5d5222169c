import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import {
  adaptiveSchema,
  chooseBatch,
  drawTexts,
  initialAdaptive,
  observeLoss,
} from "@tandem/student-trainer/rollout/adaptive-schedule.js";
import { rolloutSchema } from "@tandem/student-trainer/rollout/rollout-config.js";
import { createRolloutSource } from "@tandem/student-trainer/rollout/rollout-source.js";
import { AUTHOR, type RolloutBatch } from "@tandem/student-trainer/rollout/rollout.js";
import { StudentEngine } from "@tandem/student-trainer/rollout/student-engine.js";

import { TOY_STOP } from "../../../helpers/toy-law.js";
import { ToyRunner } from "../../../helpers/toy-runner.js";

const config = adaptiveSchema.parse({ capacity: 2 });
const text = (row: number) => ({
  row,
  sample: 0,
  epoch: 0,
  response: Uint32Array.of(row),
  authors: Uint8Array.of(0),
  finish: "length" as const,
});

describe("DistiLLM's schedule", () => {
  it("lets φ rise where the loss has risen by the tolerance since the last rise", () => {
    let state = initialAdaptive(config);
    const seen: (readonly [number, number | null])[] = [];
    for (const loss of [2, 1.5, 2.05, 2.1, 2.15, 2.21]) {
      state = observeLoss(state, loss, config);
      seen.push([state.threshold, state.reference]);
    }
    // The first is the reference; 2.1 reaches 2 + 0.1, 2.21 reaches 2.1 + 0.1; a fall moves nothing.
    const expected = [
      [0, 2],
      [0, 2],
      [0, 2],
      [0.1, 2.1],
      [0.1, 2.1],
      [0.2, 2.21],
    ];
    assert.deepEqual(seen, expected);
    const full = { ...initialAdaptive(config), threshold: 1, reference: 0 };
    assert.equal(observeLoss(full, 9, config).threshold, 1);
  });

  it("takes fresh text below φ·(1 − progress), the replay below φ once it is full, given text above", () => {
    const replay = [text(0), text(1)];
    const full = { threshold: 0.5, reference: 1, replay };
    const at = (uniform: number, state = full) =>
      chooseBatch(state, { uniform, progress: 0.6 }, config);
    assert.deepEqual(
      [0.19, 0.2, 0.49, 0.5].map((u) => at(u)),
      ["fresh", "replayed", "replayed", "other"],
    );
    assert.equal(at(0.49, { ...full, replay: [text(0)] }), "fresh");
  });

  it("draws no text twice before all were drawn", () => {
    const state = { threshold: 1, reference: 1, replay: [text(0), text(1), text(2)] };
    const rows = drawTexts(state, 3, (i) => [0.5, 0.99, 0][i]!).map(({ row }) => row);
    assert.deepEqual(rows, [1, 2, 0]);
  });
});

const ROWS = Array.from({ length: 10 }, (_, index) => ({
  index,
  promptText: "",
  prompt: Uint32Array.of(1 + (index % 9), 3),
  answer: Uint32Array.of(1 + (index % 7), TOY_STOP),
}));

function open(kind: "adaptive" | "pairs") {
  const source = createRolloutSource({
    config: rolloutSchema.parse({
      kind,
      rows: 4,
      maxResponse: 6,
      adaptive: { threshold: 0.5, capacity: 6 },
    }),
    rows: ROWS,
    shuffle: true,
    runSeed: 5,
    stopIds: [TOY_STOP],
    engine: new StudentEngine(new ToyRunner()),
  });
  const abort = new AbortController().signal;
  const ask = (progress: number) =>
    source.next({ spec: NO_SIGNAL, studentTopK: 0, progress, abort });
  return { source, ask };
}

const textsOf = ({ rollouts }: RolloutBatch) =>
  rollouts.map(({ row, epoch, prompt, response, authors }) => ({
    row,
    epoch,
    prompt: [...prompt],
    response: [...response],
    authors: [...authors],
  }));

describe("adaptive rollouts", () => {
  const STEPS = 12;
  /** An evaluation stands before every third batch. */
  const step = async ({ source, ask }: ReturnType<typeof open>, at: number) => {
    if (at % 3 === 0) source.observe?.({ answerLoss: 1 + at / 10 });
    return textsOf(await ask(at / STEPS));
  };

  it("say where the schedule stands at every evaluation", () => {
    const { source } = open("adaptive");
    const at = (answerLoss: number) => source.observe?.({ answerLoss });
    assert.deepEqual(at(1), { adaptiveThreshold: 0.5 });
    assert.deepEqual(at(9), { adaptiveThreshold: 0.6 });
    assert.equal(source.observe?.({}), undefined);
  });

  it("have given text, fresh text, and text of before with its own prompt", async () => {
    const run = open("adaptive");
    const batches: ReturnType<typeof textsOf>[] = [];
    for (let at = 0; at < STEPS; at++) batches.push(await step(run, at));
    const author = (batch: (typeof batches)[number]) => batch[0]!.authors[0];
    const fresh = batches.filter((batch) => author(batch) === AUTHOR.student);
    assert.ok(batches.some((batch) => author(batch) === AUTHOR.data));
    const written = new Map<string, number>();
    for (const each of fresh.flat()) {
      assert.deepEqual(each.prompt, [...ROWS[each.row]!.prompt]);
      const key = JSON.stringify(each);
      written.set(key, (written.get(key) ?? 0) + 1);
    }
    assert.ok(
      [...written.values()].some((count) => count > 1),
      "some were trained on again",
    );
  });

  it("go on from their state as if they had never stopped, replay and threshold included", async () => {
    const whole = open("adaptive");
    const expected = [];
    for (let at = 0; at < STEPS; at++) expected.push(await step(whole, at));
    for (const cut of [1, 5, 9]) {
      const first = open("adaptive");
      for (let at = 0; at < cut; at++) await step(first, at);
      const second = open("adaptive");
      second.source.restore(JSON.parse(JSON.stringify(first.source.state())));
      const rest = [];
      for (let at = cut; at < STEPS; at++) rest.push(await step(second, at));
      assert.deepEqual(rest, expected.slice(cut), `cut at ${cut}`);
      assert.deepEqual(second.source.state(), whole.source.state());
    }
  });

  it("refuse a damaged replay", () => {
    const { source } = open("adaptive");
    const state = JSON.parse(JSON.stringify(source.state())) as Record<string, never>;
    assert.throws(() => source.restore({ ...state, adaptive: { threshold: "x" } }), {
      code: "DATA_LOSS",
    });
  });
});

describe("pairs", () => {
  it("stand together: the given answer and the student's to the same prompt", async () => {
    const batch = textsOf(await open("pairs").ask(0));
    assert.equal(batch.length, 4);
    for (const at of [0, 2]) {
      const [given, own] = [batch[at]!, batch[at + 1]!];
      assert.deepEqual(given.prompt, own.prompt);
      assert.ok(given.authors.every((author) => author === AUTHOR.data));
      assert.ok(own.authors.every((author) => author === AUTHOR.student));
    }
    assert.notEqual(batch[0]!.row, batch[2]!.row);
  });
});
