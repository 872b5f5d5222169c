import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { countDraws } from "@tandem/shared/inference/count-draws.js";
import { addDraws, drawBlocks } from "@tandem/shared/inference/draws-graph.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, i64Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { assertAllClose } from "../../helpers/all-close.js";

interface Drawn {
  readonly ids: number[];
  /** softmax(u/τ) at each. */
  readonly shares: number[];
  readonly logits: number[];
}

/** Draws of rows of logits, all of one length, at one temperature. */
async function draw(
  rows: readonly (readonly number[])[],
  uniforms: readonly (readonly number[])[],
  temperature = 1,
): Promise<readonly Drawn[]> {
  const V = rows[0]!.length;
  const C = uniforms[0]!.length;
  const builder = new GraphBuilder();
  addDraws(builder, builder.input("u", "f32", ["n", V]), V);
  const session = await createOrtSession(serializeGraph(builder.build()), { threads: 1 });
  try {
    const outputs = await session.run(
      {
        u: f32Tensor(Float32Array.from(rows.flat()), [rows.length, V]),
        drawRows: i64Tensor(
          rows.map((_, row) => row),
          [rows.length],
        ),
        drawStarts: i64Tensor(
          rows.map((_, row) => row * drawBlocks(V).blocks),
          [rows.length, 1],
        ),
        drawTaus: f32Tensor(new Float32Array(rows.length).fill(temperature), [rows.length, 1]),
        uniforms: {
          dtype: "f64",
          shape: [rows.length, C],
          data: Float64Array.from(uniforms.flat()),
        },
      },
      ["drawIds", "drawShares", "drawLogits"],
    );
    const of = (name: string, row: number) =>
      Array.from(outputs[name]!.data as Float32Array).slice(row * C, (row + 1) * C);
    return rows.map((_, row) => ({
      ids: of("drawIds", row),
      shares: of("drawShares", row),
      logits: of("drawLogits", row),
    }));
  } finally {
    await session.close();
  }
}

/** The definition, id by id: the first id whose cumulated probability exceeds the uniform. */
function drawOne(logits: readonly number[], uniform: number): number {
  const maximum = Math.max(...logits);
  const masses = logits.map((u) => Math.exp(u - maximum));
  const total = masses.reduce((a, b) => a + b);
  let running = 0;
  return masses.findIndex((mass) => (running += mass) > uniform * total);
}

describe("addDraws", () => {
  it("inverts the cumulative distribution over rising ids", async () => {
    // Masses 1/2, 1/4, 1/4: cumulated 0.5, 0.75, 1.
    const [drawn] = await draw([[Math.log(2), 0, 0]], [[0.999, 0, 0.49, 0.76, 0.51]]);
    assert.deepEqual(drawn!.ids, [2, 0, 0, 2, 1]);
  });

  it("draws from the law at a temperature and says how likely that was", async () => {
    // At temperature ½ masses 2, 1 become 4, 1, so 4/6, 1/6, 1/6: cumulated 0.667, 0.833, 1.
    const [drawn] = await draw([[Math.log(2), 0, 0]], [[0.66, 0.68, 0.84]], 0.5);
    assert.deepEqual(drawn!.ids, [0, 1, 2]);
    assertAllClose(drawn!.shares, [4 / 6, 1 / 6, 1 / 6], { rtol: 1e-6, atol: 0 });
    assertAllClose(drawn!.logits, [Math.log(2), 0, 0], { rtol: 1e-7, atol: 0 });
  });

  it("never draws what has no mass", async () => {
    const [drawn] = await draw(
      [[-Infinity, 0, -Infinity, 0, -Infinity]],
      [[0, 0.25, 0.75, 1 - 2 ** -52]],
    );
    assert.deepEqual(drawn!.ids, [1, 1, 3, 3]);
  });

  it("equals the search id by id, in every row, across blocks of ids", async () => {
    const uniform = (position: number, index: number): number =>
      uniformAt({ runSeed: 5, rngKey: 6, position, stream: "draws", index });
    const rows = Array.from({ length: 5 }, (_, row) =>
      Array.from({ length: 257 }, (_, id) => Math.fround(6 * uniform(100 + row, id))),
    );
    const uniforms = rows.map((_, row) => Array.from({ length: 200 }, (_, i) => uniform(row, i)));
    const drawn = await draw(rows, uniforms);
    rows.forEach((logits, row) => {
      // float32 probabilities place a boundary within 1e-6 of where float64 has it: at most one of 200 uniforms may fall between.
      const differing = drawn[row]!.ids.filter(
        (id, i) => id !== drawOne(logits, uniforms[row]![i]!),
      );
      assert.ok(differing.length <= 1, `row ${row}: ${differing.length} of 200 differ`);
    });
  });
});

describe("countDraws", () => {
  it("lists distinct ids, rising, with their counts", () => {
    const { ids, counts } = countDraws(Int32Array.of(7, 2, 7, 0, 2, 7));
    assert.deepEqual(Array.from(ids), [0, 2, 7]);
    assert.deepEqual(Array.from(counts), [1, 2, 3]);
  });

  it("keeps what each id is worth", () => {
    const weights = Float32Array.of(0.5, 4, 0.5, 2);
    const drawn = countDraws(Int32Array.of(7, 2, 7, 0), weights);
    assert.deepEqual(Array.from(drawn.weights!), [2, 4, 0.5]);
  });
});
