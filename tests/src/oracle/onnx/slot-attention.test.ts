import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import type { HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { f32Tensor, i64Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import type { Session } from "@tandem/shared/runtime/session.js";
import { ReferenceOps } from "@tandem/student-trainer/engines/reference/reference-ops.js";
import type { ReferenceTensor } from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import {
  read,
  referenceTensor,
} from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { spread } from "../autodiff/op-case.js";

const ROWS = 2;
const POSITIONS = 7;
const SLOT = 12;
const WIDTH = 4;
const OPTIONS = { heads: 4, kvHeads: 2, scale: 0.5 };

async function compile(): Promise<Session> {
  const g = new GraphBuilder();
  const keyWidth = OPTIONS.kvHeads * WIDTH;
  const slotShape = ["R", "S", keyWidth];
  const result = g.slotAttention(
    {
      q: g.input("q", "f32", ["R", "L", OPTIONS.heads * WIDTH]),
      k: g.input("k", "f32", ["R", "L", keyWidth]),
      v: g.input("v", "f32", ["R", "L", keyWidth]),
      keySlots: g.input("keys", "f32", slotShape),
      valueSlots: g.input("values", "f32", slotShape),
      starts: g.input("starts", "i64", ["R"]),
    },
    OPTIONS,
  );
  g.output("output", result.output);
  g.output("keys.next", result.keySlots);
  g.output("values.next", result.valueSlots);
  return createOrtSession(serializeGraph(g.build()), { threads: 1 });
}

function sequence(width: number, start: number): ReferenceTensor {
  return referenceTensor(spread(ROWS * POSITIONS * width, start), [ROWS, POSITIONS, width]);
}

/** `length` positions of each row from its own start; behind the sequence's end 9 stands for garbage. */
function window(x: ReferenceTensor, starts: readonly number[], length: number): HostTensor {
  const width = x.shape[2] as number;
  const data = new Float32Array(ROWS * length * width).map((_, flat) => {
    const [row, offset] = [Math.floor(flat / (length * width)), Math.floor(flat / width) % length];
    const position = (starts[row] as number) + offset;
    return position < POSITIONS ? read(x, [row, position, flat % width]) : 9;
  });
  return f32Tensor(data, [ROWS, length, width]);
}

describe("slotAttention", () => {
  it("gives each row, whatever its start, what attention over the whole sequence gives", async () => {
    const q = sequence(OPTIONS.heads * WIDTH, 1);
    const k = sequence(OPTIONS.kvHeads * WIDTH, 300);
    const v = sequence(OPTIONS.kvHeads * WIDTH, 600);
    const expected = new ReferenceOps().causalAttention(q, k, v, OPTIONS);
    const session = await compile();
    const slotShape = [ROWS, SLOT, OPTIONS.kvHeads * WIDTH];
    const size = slotShape.reduce((a, b) => a * b, 1);
    // Garbage of an earlier occupant must not be seen.
    const keys = f32Tensor(new Float32Array(size).fill(7), slotShape);
    const values = f32Tensor(new Float32Array(size).fill(-7), slotShape);
    const steps = [
      { starts: [0, 0], length: 3 },
      { starts: [3, 2], length: 2 }, // row 1 had only two real tokens before
      { starts: [5, 4], length: 3 }, // padding of row 0 lies past its end
    ];
    for (const { starts, length } of steps) {
      const feeds = {
        q: window(q, starts, length),
        k: window(k, starts, length),
        v: window(v, starts, length),
        keys,
        values,
        starts: i64Tensor(starts, [ROWS]),
      };
      const results = await session.run(feeds, {
        output: null,
        "keys.next": keys,
        "values.next": values,
      });
      const output = results["output"] as HostTensor;
      starts.forEach((start, row) => {
        const real = Math.min(length, POSITIONS - start);
        const width = OPTIONS.heads * WIDTH;
        const from = (row * POSITIONS + start) * width;
        const actual = (output.data as Float32Array)
          .subarray(row * length * width)
          .subarray(0, real * width);
        const wanted = expected.data.subarray(from, from + real * width);
        assertAllClose(actual, wanted, { rtol: 1e-5, atol: 1e-6 }, `row ${row} from ${start}`);
      });
    }
    assert.equal(keys.data[0], Math.fround(read(k, [0, 0, 0])), "the slots are updated in place");
    await session.close();
  });
});

describe("countGreater with the list of the largest", () => {
  it("counts what plain counting counts, for limits inside, at the end of and outside the list", async () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N", 6]);
    const threshold = g.input("threshold", "f32", ["N"]);
    const { values } = g.topKDynamic(x, g.input("k", "i64", [1]), "K");
    g.output("count", g.countGreater(x, threshold, values));
    const session = await createOrtSession(serializeGraph(g.build()), { threads: 1 });
    const row = [4, 1, 3, 3, 0, 2];
    const limits = [9, 4, 3, 2.5, 2, 1, 0, -1];
    const wanted = limits.map((limit) => BigInt(row.filter((value) => value > limit).length));
    for (const k of [1, 2, 3, 6]) {
      for (const rows of [limits, limits.slice(0, 1)]) {
        const feeds = {
          x: f32Tensor(Float32Array.from(rows.flatMap(() => row)), [rows.length, 6]),
          threshold: f32Tensor(Float32Array.from(rows), [rows.length]),
          k: i64Tensor([k], [1]),
        };
        const { count } = await session.run(feeds, ["count"]);
        assert.deepEqual([...(count?.data ?? [])], wanted.slice(0, rows.length), `k ${k}`);
      }
    }
    await session.close();
  });
});

describe("topKDynamic and countGreater", () => {
  it("takes a fed k, lists equal values by rising index, and counts what is strictly above", async () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N", 5]);
    const top = g.topKDynamic(x, g.input("k", "i64", [1]), "K");
    g.output("values", top.values);
    g.output("indices", top.indices);
    g.output("above", g.countGreater(x, g.input("threshold", "f32", ["N"])));
    const session = await createOrtSession(serializeGraph(g.build()), { threads: 1 });
    const feeds = {
      x: f32Tensor(Float32Array.of(1, 3, 3, 0, 2, 5, 5, 5, 5, 5), [2, 5]),
      threshold: f32Tensor(Float32Array.of(2, 5), [2]),
    };
    for (const k of [3, 1, 0]) {
      const results = await session.run({ ...feeds, k: i64Tensor([k], [1]) }, session.outputNames);
      assert.deepEqual(results["indices"]?.shape, [2, k]);
      const expected = [
        [1n, 2n, 4n],
        [0n, 1n, 2n],
      ].flatMap((row) => row.slice(0, k));
      assert.deepEqual([...(results["indices"]?.data ?? [])], expected);
      assert.deepEqual(results["above"]?.data, BigInt64Array.of(2n, 0n));
    }
    await session.close();
  });
});
