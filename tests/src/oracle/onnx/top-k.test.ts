import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { philox4x32 } from "@tandem/shared/numeric/philox.js";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, i64Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";

const ROWS = 3;

/** Ids of the k largest, ties to the lower id. */
function sorted(row: Float32Array, k: number): number[] {
  return Array.from(row.keys())
    .sort((a, b) => row[b]! - row[a]! || a - b)
    .slice(0, k);
}

describe("topKDynamic", () => {
  // 4,096 and 6,400 have blocks of 64, 4,125 of 55, 5,003 is prime, 60 is short.
  for (const width of [60, 4096, 4125, 5003, 6400]) {
    it(`finds the largest of ${width} with ties to the lower id, for any k`, async () => {
      const g = new GraphBuilder();
      const x = g.input("x", "f32", ["n", width]);
      const top = g.topKDynamic(x, g.input("k", "i64", [1]), "k");
      g.output("values", top.values);
      g.output("ids", top.indices);
      const session = await createOrtSession(serializeGraph(g.build()), { threads: 1 });
      try {
        // Few different values, so that every block and every list has ties; some are −∞, and the last row is all of one value.
        const data = Float32Array.from({ length: ROWS * width }, (_, i) => {
          const draw = philox4x32([i, width, 0, 0], [5, 6])[0]! % 40;
          return i >= 2 * width ? 1 : draw === 0 ? -Infinity : draw;
        });
        for (const k of [1, 7, 59, 60, 64, 65, 1000, width].filter((count) => count <= width)) {
          const { values, ids } = await session.run(
            { x: f32Tensor(data, [ROWS, width]), k: i64Tensor([k], [1]) },
            ["values", "ids"],
          );
          const expected = Array.from({ length: ROWS }, (_, row) =>
            sorted(data.subarray(row * width, (row + 1) * width), k),
          );
          assert.deepEqual(Array.from(ids!.data as BigInt64Array, Number), expected.flat());
          assert.deepEqual(
            Array.from(values!.data as Float32Array),
            expected.flatMap((list, row) => list.map((id) => data[row * width + id]!)),
          );
        }
      } finally {
        await session.close();
      }
    });
  }
});
