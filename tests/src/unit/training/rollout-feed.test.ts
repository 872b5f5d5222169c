import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import type { RolloutBatch } from "@tandem/student-trainer/rollout/rollout.js";
import { RolloutFeed } from "@tandem/student-trainer/training/rollout-feed.js";
import type {
  RolloutRequest,
  RolloutSource,
} from "@tandem/student-trainer/training/rollout-source.js";

const REQUEST = { spec: NO_SIGNAL, studentTopK: 0, progress: 0 };

/** Notes with which weights each batch was begun. */
class NotingSource implements RolloutSource {
  readonly notes: string[] = [];
  weights = 0;
  failAt = -1;
  #next = 0;
  #busy = false;

  async next({ abort }: RolloutRequest): Promise<RolloutBatch> {
    assert.equal(this.#busy, false, "one batch at a time");
    this.#busy = true;
    const index = this.#next;
    this.#next += 1;
    this.notes.push(`batch ${index} with weights ${this.weights}`);
    await new Promise((resolve) => setImmediate(resolve));
    this.#busy = false;
    if (index === this.failAt || abort.aborted) throw new Error(`no batch ${index}`);
    return {
      index,
      rollouts: [],
      stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
      teacherWaitMs: 0,
      seconds: 0,
    };
  }

  publish(): void {
    assert.equal(this.#busy, false, "no weights while a batch is written");
    this.weights += 1;
  }

  state(): null {
    return null;
  }

  restore(): void {}
}

function feedOf(
  source: NotingSource,
  staleness: number,
  abort = new AbortController().signal,
): RolloutFeed {
  return new RolloutFeed(
    { source, staleness, abort, publishWeights: async () => source.publish() },
    [],
  );
}

describe("batches written ahead", () => {
  // Weights n are those after n−1 rounds: batch r has the weights after round r−1−s.
  const expected: readonly (readonly [number, readonly number[]])[] = [
    [0, [1, 2, 3, 4]],
    [1, [1, 1, 2, 3]],
    [2, [1, 1, 1, 2]],
  ];
  for (const [staleness, weights] of expected) {
    it(`have weights ${staleness} rounds old`, async () => {
      const source = new NotingSource();
      const feed = feedOf(source, staleness);
      for (const index of weights.keys()) assert.equal((await feed.take(REQUEST)).index, index);
      await feed.settle();
      assert.deepEqual(
        source.notes.slice(0, weights.length),
        weights.map((version, index) => `batch ${index} with weights ${version}`),
      );
    });
  }

  it("are finished even when the run is aborted, for the checkpoint", async () => {
    const controller = new AbortController();
    const source = new NotingSource();
    const feed = feedOf(source, 1, controller.signal);
    await feed.take(REQUEST);
    controller.abort();
    assert.deepEqual(
      (await feed.settle()).map(({ index }) => index),
      [1],
    );
  });

  it("of which one fails fail whoever takes it, and are not kept", async () => {
    const source = new NotingSource();
    source.failAt = 1;
    const feed = feedOf(source, 2);
    assert.equal((await feed.take(REQUEST)).index, 0);
    assert.deepEqual(await feed.settle(), []);
    await assert.rejects(feed.take(REQUEST), /no batch 1/);
  });
});

describe("a batch that is waited for", () => {
  it("is given up when the run is aborted", async () => {
    const controller = new AbortController();
    controller.abort();
    await assert.rejects(
      feedOf(new NotingSource(), 0, controller.signal).take(REQUEST),
      /no batch 0/,
    );
  });
});
