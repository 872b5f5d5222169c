import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { lowerGraph } from "@tandem/shared/onnx/lower/lower-graph.js";

const HEADS = { heads: 4, kvHeads: 2, scale: 0.5 };

function countOps(builder: GraphBuilder): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { opType } of lowerGraph(builder.build()).nodes) {
    counts[opType] = (counts[opType] ?? 0) + 1;
  }
  return counts;
}

function attentionGraph(withProbabilities: boolean): GraphBuilder {
  const g = new GraphBuilder();
  const q = g.input("q", "f32", ["B", "T", 16]);
  const k = g.input("k", "f32", ["B", "T", 8]);
  const v = g.input("v", "f32", ["B", "T", 8]);
  g.output("y", g.causalAttention(q, k, v, HEADS));
  if (withProbabilities) g.output("p", g.causalProbabilities(q, k, HEADS));
  return g;
}

describe("lowerGraph", () => {
  it("uses one attention kernel where only the output is wanted", () => {
    assert.deepEqual(countOps(attentionGraph(false)), { Attention: 1 });
  });

  it("computes the probabilities once where they are needed besides", () => {
    const counts = countOps(attentionGraph(true));
    assert.equal(counts["Attention"], undefined);
    assert.equal(counts["Softmax"], 1);
    assert.equal(counts["FusedMatMul"], 1, "scores");
    assert.equal(counts["MatMul"], 1, "values");
  });

  it("takes the inverse RMS from the norm where the gradient needs it", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N", 8]);
    const weight = g.input("w", "f32", [8]);
    g.output("y", g.rmsNorm(x, weight, 1e-5));
    assert.deepEqual(countOps(g), { RMSNormalization: 1 });
    g.output("r", g.inverseRms(x, 1e-5));
    assert.deepEqual(countOps(g), { SimplifiedLayerNormalization: 1 });
    g.output("other", g.inverseRms(x, 1e-6));
    assert.equal(countOps(g)["Reciprocal"], 1, "another eps is another number");
  });

  it("takes the log-sum-exp from the softmax where the gradient needs that", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N", 8]);
    g.output("lse", g.logSumExp(x, -1));
    assert.deepEqual(countOps(g), { LogSoftmax: 1, ReduceMax: 2, Sub: 1 });
    g.output("p", g.softmax(x, -1));
    assert.deepEqual(countOps(g), { Softmax: 1, ReduceMax: 2, Log: 1, Sub: 1 });
  });

  it("takes the log-sum-exp's maximum from sorted values where there are some", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N", 8]);
    g.output("best", g.topK(x, 2, 1).values);
    g.output("lse", g.logSumExp(x, 1));
    g.output("law", g.softmax(x, 1));
    const counts = countOps(g);
    assert.equal(counts["ReduceMax"], undefined);
    assert.equal(counts["Softmax"], 1);
  });

  it("does not write the products of a long row that only their sum needs", () => {
    const g = new GraphBuilder();
    const [x, y] = [g.input("x", "f32", ["N", 2048]), g.input("y", "f32", ["N", 2048])];
    const products = g.mul(x, y);
    g.output("sum", g.reduceSum(products, { axes: [1] }));
    assert.deepEqual(countOps(g), { FusedMatMul: 1, Reshape: 3 });
    g.output("largest", g.reduceMax(products, { axes: [1] }));
    assert.equal(countOps(g)["ReduceSum"], 1, "another one needs them");
  });

  it("widens the chosen rows of a half-precision table, not the table", () => {
    const g = new GraphBuilder();
    const bytes = { location: "model.safetensors", offset: 0, length: 64, dtype: "f16" } as const;
    const table = g.parameter("table", [8, 4], bytes);
    g.output("rows", g.gather(table, g.input("ids", "i64", ["N"]), 0));
    const { nodes } = lowerGraph(g.build());
    assert.deepEqual(
      nodes.map(({ opType, inputs }) => [opType, inputs[0]]),
      [
        ["Gather", "table"],
        ["Cast", nodes[0]?.outputs[0]],
      ],
    );
    g.output("product", g.matmul(g.input("x", "f32", ["N", 4]), table, { transB: true }));
    assert.equal(countOps(g)["Cast"], 2, "a product needs all of it");
  });

  it("rotates and quantises rows once for all products of them with 8-bit weights", () => {
    const g = new GraphBuilder();
    const at = { location: "model.safetensors", offset: 0 };
    const x = g.input("x", "f32", ["N", 128]);
    for (const name of ["query", "key", "value"]) {
      const weight = g.parameter(name, [16, 128], {
        kind: "int8",
        values: { ...at, length: 2048, dtype: "i8" },
        scales: { ...at, length: 64, dtype: "f32" },
        rotation: 64,
      });
      g.output(`${name}s`, g.matmul(x, weight, { transB: true }));
    }
    const { MatMulIntegerToFloat, MatMul, QuantizeLinear } = countOps(g);
    assert.deepEqual([MatMulIntegerToFloat, MatMul, QuantizeLinear], [3, 1, 1]);
  });

  it("finds equal reshapes equal, whatever they were reshaped from", () => {
    const g = new GraphBuilder();
    const packed = g.input("x", "f32", ["B*T", 16]);
    g.input("like", "f32", ["B", "T"]);
    const rows = g.reshape(packed, ["B", "T", 16]);
    g.output("heads", g.transpose(g.reshape(packed, ["B", "T", 4, 4]), [0, 2, 1, 3]));
    g.output("p", g.causalProbabilities(rows, rows, { heads: 4, kvHeads: 4, scale: 1 }));
    assert.equal(countOps(g)["Transpose"], 1);
  });
});
