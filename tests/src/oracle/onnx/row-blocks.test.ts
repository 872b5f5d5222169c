import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { Graph, GraphTensor } from "@tandem/shared/onnx/graph.js";
import { replay } from "@tandem/shared/onnx/replay.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { gradients } from "@tandem/student-trainer/autodiff/gradients.js";
import { ReferenceOps } from "@tandem/student-trainer/engines/reference/reference-ops.js";
import { referenceTensor } from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import { assertAllClose } from "../../helpers/all-close.js";

const [rows, width] = [12, 5];
const x = Float32Array.from({ length: rows * width }, (_, at) => Math.sin(at * at + 1));
const weight = Float32Array.from({ length: rows }, (_, at) => 0.5 + (at % 3));
const scale = Float32Array.of(0.5, -1, 2, 0.25, 1.5);

/** y = softmax(x·scale)·weight of each row, and Σ over all rows. */
function declare(blockRows: number): Graph {
  const g = new GraphBuilder();
  const inputs = {
    rows: [g.input("x", "f32", ["C", width]), g.input("weight", "f32", ["C"])],
    shared: [g.input("scale", "f32", [width])],
    blockRows,
  };
  const body = (
    b: GraphBuilder,
    [own, factor]: readonly GraphTensor[],
    [by]: readonly GraphTensor[],
  ) => {
    const y = b.mul(b.softmax(b.mul(own!, by!), 1), b.unsqueeze(factor!, 1));
    return { rows: [y, factor!], sums: [b.reduceSum(y, { axes: [0] }), by!] };
  };
  const results = g.rowBlocks(inputs, body);
  // A second one beside it: bodies have names of their own.
  const again = g.rowBlocks({ ...inputs, rows: [results.rows[0]!, inputs.rows[1]!] }, body);
  g.output("y", results.rows[0]!);
  g.output("weights", results.rows[1]!);
  g.output("sum", results.sums[0]!);
  g.output("scales", results.sums[1]!);
  g.output("again", again.rows[0]!);
  return g.build();
}

function expected(): {
  readonly y: number[][];
  readonly sum: number[];
  readonly again: number[][];
} {
  const once = (values: readonly number[], row: number) => {
    const powers = values.map((value, id) => Math.exp(value * scale[id]!));
    const total = powers.reduce((a, b) => a + b, 0);
    return powers.map((power) => (power / total) * weight[row]!);
  };
  const y = Array.from({ length: rows }, (_, row) =>
    once(Array.from(x.subarray(row * width, (row + 1) * width)), row),
  );
  return {
    y,
    sum: Array.from({ length: width }, (_, id) => y.reduce((total, row) => total + row[id]!, 0)),
    again: y.map(once),
  };
}

describe("rowBlocks", () => {
  for (const blockRows of [1, 3, 4, 12]) {
    it(`gives what all rows at once give, on onnxruntime and in the reference, blocks of ${blockRows}`, async () => {
      const graph = declare(blockRows);
      const session = await createOrtSession(serializeGraph(graph), { threads: 1 });
      const feeds = {
        x: f32Tensor(x, [rows, width]),
        weight: f32Tensor(weight, [rows]),
        scale: f32Tensor(scale, [width]),
      };
      const fetched = await session.run(feeds, ["y", "weights", "sum", "scales", "again"]);
      await session.close();
      const reference = replay(
        graph,
        new ReferenceOps(),
        new Map(
          Object.entries(feeds).map(([name, { data, shape }]) => [
            name,
            referenceTensor(data, shape),
          ]),
        ),
      );
      const own = expected();
      const numbers = {
        y: own.y.flat(),
        weights: Array.from(weight),
        sum: own.sum,
        scales: Array.from(scale, (value) => (value * rows) / blockRows),
        again: own.again.flat(),
      };
      for (const [name, values] of Object.entries(numbers)) {
        const ran = Array.from(fetched[name]!.data as Float32Array);
        assertAllClose(ran, values, { rtol: 1e-5, atol: 1e-6 }, name);
        assertAllClose(reference.get(name)!.data, values, { rtol: 1e-6, atol: 1e-7 }, name);
      }
    });
  }

  it("refuses a number of rows that is no multiple", () => {
    const g = new GraphBuilder();
    const own = g.input("x", "f32", [10, 2]);
    assert.throws(
      () =>
        g.rowBlocks({ rows: [own], shared: [], blockRows: 4 }, (_, all) => ({
          rows: all,
          sums: [],
        })),
      /10 rows are no whole number of blocks of 4/,
    );
  });

  it("has no gradient", () => {
    const g = new GraphBuilder();
    const own = g.input("x", "f32", [8, 2]);
    const { rows: results } = g.rowBlocks({ rows: [own], shared: [], blockRows: 4 }, (b, all) => ({
      rows: [b.exp(all[0]!)],
      sums: [],
    }));
    assert.throws(() => gradients(g, { outputs: [results[0]!], wrt: [own] }), /inside its body/);
  });
});
