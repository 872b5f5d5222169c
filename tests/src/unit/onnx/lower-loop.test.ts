import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import {
  allOf,
  firstOf,
  lastOf,
  ROUNDS,
  type LoopGraph,
} from "@tandem/shared/onnx/lower/lower-loop.js";
import { serializeLoop } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, i64Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";

/** Each round adds its slice of `terms` to `sum`, and keeps the sum and what it has seen. */
function runningSum(): LoopGraph {
  const g = new GraphBuilder();
  const round = g.input("round", "i64", []);
  const begins = g.input("begins", "i64", ["B"]);
  const at = (i: number) => g.reshape(g.gather(begins, g.add(round, g.scalar(i, "i64")), 0), [1]);
  const slice = g.narrow(g.input("terms", "f32", ["M"]), at(0), at(1), "N");
  const sum = g.add(g.input("sum", "f32", [1]), g.reduceSum(slice, { axes: [0], keepDims: true }));
  g.output("sum.next", sum);
  g.output("after", g.mul(sum, g.scalar(1)));
  g.output("seen.next", g.concat([g.input("seen", "f32", ["W"]), slice], 0));
  return {
    body: g.build(),
    round: "round",
    carried: [
      { input: "sum", output: "sum.next" },
      { input: "seen", output: "seen.next" },
    ],
    stacked: ["after"],
    last: ["seen.next"],
  };
}

describe("lowerLoop", () => {
  it("carries values whose size may change, stacks those of every round, feeds the rest to all", async () => {
    const session = await createOrtSession(serializeLoop(runningSum()), { threads: 1 });
    const terms = Float32Array.of(1, 2, 4, 8, 16, 32);
    const run = (begins: readonly number[]) =>
      session.run(
        {
          [ROUNDS]: i64Tensor([begins.length - 1], []),
          [firstOf("sum")]: f32Tensor(Float32Array.of(100), [1]),
          [firstOf("seen")]: f32Tensor(new Float32Array(0), [0]),
          terms: f32Tensor(terms, [6]),
          begins: i64Tensor(begins, [begins.length]),
        },
        [allOf("after"), lastOf("seen.next")],
      );
    try {
      const three = await run([0, 3, 3, 5]);
      assert.deepEqual([...three[allOf("after")]!.data], [107, 107, 131]);
      assert.deepEqual(three[allOf("after")]!.shape, [3, 1]);
      assert.deepEqual([...three[lastOf("seen.next")]!.data], [1, 2, 4, 8, 16]);
      const one = await run([4, 6]);
      assert.deepEqual([...one[allOf("after")]!.data], [148]);
    } finally {
      await session.close();
    }
  });

  it("names what the body lacks", () => {
    assert.throws(() => serializeLoop({ ...runningSum(), stacked: ["later"] }), {
      code: "INVALID_ARGUMENT",
      message: /no "later"; it has sum\.next/,
    });
  });
});
