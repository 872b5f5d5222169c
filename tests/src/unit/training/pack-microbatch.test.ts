import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { NO_SIGNAL, type TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import {
  packMicrobatch,
  type PackOptions,
} from "@tandem/student-trainer/training/pack-microbatch.js";
import { signalInputs } from "@tandem/student-trainer/training/signal-inputs.js";

const OPTIONS: PackOptions = {
  vocabulary: 20,
  signalInputs: [],
  positionMultiple: 4,
  chunkRows: 100,
};

function rollout(prompt: number[], response: number[], signal?: TeacherSignal): Rollout {
  return {
    row: 7,
    sample: 0,
    epoch: 0,
    prompt: Uint32Array.from(prompt),
    response: Uint32Array.from(response),
    authors: new Uint8Array(response.length).fill(AUTHOR.data),
    finish: "length",
    ...(signal && { signal }),
    stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
  };
}

function numbers(tensor: HostTensor | undefined): number[] {
  return Array.from(tensor!.data as ArrayLike<number | bigint>, Number);
}

describe("packing a microbatch", () => {
  const rows = [
    { rollout: rollout([1, 2, 3], [4, 5]), coefficients: [0.5, 0.25] },
    { rollout: rollout([6], [7, 8, 9]), coefficients: [0, 0.125, 1] },
  ];

  it("pads rows on the right and feeds no last token, which is only a target", () => {
    const { rows: B, positions, feeds } = packMicrobatch(rows, OPTIONS);
    assert.deepEqual([B, positions], [2, 4]);
    assert.deepEqual(numbers(feeds["ids"]), [1, 2, 3, 4, 6, 7, 8, 0]);
  });

  it("predicts a token from the position before it, where a coefficient is not 0", () => {
    const { lossPositions, chunks, feeds } = packMicrobatch(rows, OPTIONS);
    assert.deepEqual([lossPositions, chunks], [4, 1]);
    // Row 0: 4 from position 2, 5 from 3. Row 1 begins at 4: 8 from position 1, 9 from 2.
    assert.deepEqual(numbers(feeds["lossRows"]), [2, 3, 5, 6]);
    assert.deepEqual(numbers(feeds["targets.0"]), [4, 5, 8, 9]);
    assert.deepEqual(numbers(feeds["coefficients.0"]), [0.5, 0.25, 0.125, 1]);
  });

  it("cuts loss rows into chunks of equal size; what is missing weighs nothing", () => {
    const { chunks, feeds } = packMicrobatch(rows, { ...OPTIONS, chunkRows: 3 });
    assert.equal(chunks, 2);
    assert.deepEqual(feeds["lossRows"]!.shape, [2, 2]);
    assert.deepEqual(numbers(feeds["targets.1"]), [8, 9]);
    const three = packMicrobatch([rows[0]!, { ...rows[1]!, coefficients: [0, 0, 1] }], {
      ...OPTIONS,
      chunkRows: 2,
    });
    assert.deepEqual(numbers(three.feeds["coefficients.1"]), [1, 0]);
  });

  it("has one chunk, of two rows at least, even when nothing carries loss", () => {
    const nothing = [{ ...rows[0]!, coefficients: [0, 0] }];
    const { chunks, lossPositions, feeds } = packMicrobatch(nothing, OPTIONS);
    assert.deepEqual([chunks, lossPositions], [1, 0]);
    assert.deepEqual(numbers(feeds["coefficients.0"]), [0, 0]);
  });

  it("does not round T up past the model's positions", () => {
    assert.equal(
      packMicrobatch(rows, { ...OPTIONS, positionMultiple: 16, contextLength: 6 }).positions,
      6,
    );
  });

  it("puts the signal's rows beside their logits, whatever their dtype and width", () => {
    const signal: TeacherSignal = {
      from: 2,
      count: 2,
      topK: 3,
      topIds: Uint32Array.of(9, 1, 4, 3, 2, 8),
      topLogits: Float32Array.of(3, 2, 1, 6, 5, 4),
      lse: Float32Array.of(3.5, 6.5),
      logTail: Float32Array.of(-2, -Infinity),
      tauCount: 2,
      taus: Float32Array.of(2, 4, 2, 4),
      lseAt: Float32Array.of(10, 11, 12, 13),
      logTailAt: Float32Array.of(-1, -2, -3, -4),
    };
    const inputs = signalInputs(
      { spec: { ...NO_SIGNAL, topK: 3, taus: [2, 4] }, studentTopK: 0 },
      OPTIONS.vocabulary,
    );
    const { feeds } = packMicrobatch(
      [{ rollout: rollout([1, 2], [3, 4], signal), coefficients: [0, 1] }],
      {
        ...OPTIONS,
        signalInputs: inputs,
      },
    );
    // One position, and one row to make two, with ids that are distinct.
    assert.deepEqual(numbers(feeds["top.ids.0"]), [3, 2, 8, 0, 1, 2]);
    assert.deepEqual(numbers(feeds["top.logits.0"]), [6, 5, 4, 0, 0, 0]);
    assert.deepEqual(numbers(feeds["lse.0"]), [6.5, 0]);
    assert.deepEqual(numbers(feeds["top.logTail.0"]), [-Infinity, 0]);
    assert.deepEqual(numbers(feeds["tau.1.0"]), [4, 1]);
    assert.deepEqual(numbers(feeds["lseAt.1.0"]), [13, 0]);
    assert.deepEqual(numbers(feeds["logTailAt.0.0"]), [-3, 0]);
  });

  const signalOf = (from: number, count: number): TeacherSignal => ({
    from,
    count,
    topK: 0,
    tauCount: 0,
    lse: new Float32Array(count),
  });
  const lse = signalInputs({ spec: { ...NO_SIGNAL, lse: true }, studentTopK: 0 }, 20);
  const refused: readonly [string, Rollout, Partial<PackOptions>, RegExp][] = [
    [
      "an id outside the vocabulary",
      rollout([1], [20]),
      {},
      /row 7 has token id 20, the vocabulary has 20/,
    ],
    ["a row without a prompt", rollout([], [1, 2]), {}, /row 7 has no prompt/],
    [
      "a row longer than the model",
      rollout([1, 2, 3], [4, 5]),
      { contextLength: 3 },
      /has 5 tokens, the model has 3 positions/,
    ],
    ["a missing signal", rollout([1], [2]), { signalInputs: lse }, /no teacher signal/],
    [
      "a signal of other positions",
      rollout([1], [2], signalOf(2, 1)),
      { signalInputs: lse },
      /1 positions from 2, the response 1 from 1/,
    ],
    [
      "a signal that ends too early",
      rollout([1], [2, 3], signalOf(1, 1)),
      { signalInputs: lse },
      /1 positions from 1, the response 2 from 1/,
    ],
    [
      "a signal without the part",
      rollout([1], [2], { ...signalOf(1, 1), lse: undefined! }),
      { signalInputs: lse },
      /need lse/,
    ],
  ];
  for (const [what, row, options, message] of refused) {
    it(`refuses ${what}`, () => {
      const coefficients = new Float64Array(row.response.length).fill(1);
      assert.throws(
        () => packMicrobatch([{ rollout: row, coefficients }], { ...OPTIONS, ...options }),
        { message },
      );
    });
  }
});
