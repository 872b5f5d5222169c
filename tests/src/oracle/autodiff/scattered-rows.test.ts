import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, i64Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { gradients } from "@tandem/student-trainer/autodiff/gradients.js";

const ROWS = 4096;
const WIDTH = 128;
const VOCABULARY = 8;
const USED = 3;

describe("the gradient of an embedding", () => {
  // onnxruntime's ScatterND loses additions to equal rows when it runs on several threads.
  it("loses no row when many equal ids are added on two threads", async () => {
    const g = new GraphBuilder();
    const table = g.input("table", "f32", [VOCABULARY, WIDTH]);
    const rows = g.gather(table, g.input("ids", "i64", ["N"]), 0);
    const [gradient] = gradients(g, { outputs: [rows], wrt: [table] });
    g.output("gradient", gradient!);
    const session = await createOrtSession(serializeGraph(g.build()), { threads: 2 });
    const ids = Array.from({ length: ROWS }, (_, row) => row % USED);
    const feeds = {
      table: f32Tensor(new Float32Array(VOCABULARY * WIDTH), [VOCABULARY, WIDTH]),
      ids: i64Tensor(ids, [ROWS]),
    };
    const expected = new Float32Array(VOCABULARY * WIDTH);
    for (const id of ids) {
      for (let column = 0; column < WIDTH; column++) expected[id * WIDTH + column]! += 1;
    }
    for (let attempt = 0; attempt < 5; attempt++) {
      const { gradient: counts } = await session.run(feeds, ["gradient"]);
      assert.deepEqual(counts?.data, expected);
    }
    await session.close();
  });
});
