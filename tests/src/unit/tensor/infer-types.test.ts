import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { DType, Shape } from "@tandem/shared/tensor/tensor-ops.js";

function withInputs(
  ...types: readonly (readonly [Shape, DType?])[]
): readonly [GraphBuilder, ...GraphTensor[]] {
  const builder = new GraphBuilder();
  const inputs = types.map(([shape, dtype = "f32"], at) => builder.input(`x${at}`, dtype, shape));
  return [builder, ...inputs];
}

function shapeOf(tensor: GraphTensor): Shape {
  return tensor.shape;
}

describe("inferTypes", () => {
  it("broadcasts symbols against themselves and one", () => {
    const [g, a, b] = withInputs([["B", 1, 4]], [["T", 4]]) as [
      GraphBuilder,
      GraphTensor,
      GraphTensor,
    ];
    assert.deepEqual(shapeOf(g.add(a, b)), ["B", "T", 4]);
  });

  it("refuses two different symbols", () => {
    const [g, a, b] = withInputs([["B", 4]], [["T", 4]]) as [
      GraphBuilder,
      GraphTensor,
      GraphTensor,
    ];
    assert.throws(() => g.add(a, b), /add.*\[B,4\] and \[T,4\] do not broadcast \(B against T\)/);
  });

  it("refuses two dtypes in one sum", () => {
    const [g, a, b] = withInputs([[2]], [[2], "i64"]) as [GraphBuilder, GraphTensor, GraphTensor];
    assert.throws(() => g.add(a, b), /f32\[2\] and i64\[2\]/);
  });

  it("finds the size that a reshape leaves open", () => {
    const [g, x] = withInputs([["B", "T", 8]]) as [GraphBuilder, GraphTensor];
    assert.deepEqual(shapeOf(g.reshape(x, [-1, 8])), ["B*T", 8]);
    assert.deepEqual(shapeOf(g.reshape(x, ["B", -1])), ["B", "8*T"]);
    assert.deepEqual(shapeOf(g.reshape(x, ["T*B", 2, -1])), ["B*T", 2, 4]);
    assert.throws(() => g.reshape(x, [3, -1]), /does not divide/);
    assert.throws(() => g.reshape(x, ["B", 8]), /does not have the elements of \[B,8\]/);
  });

  it("adds symbolic sizes along a concatenation", () => {
    const [g, a, b] = withInputs([["B", "T"]], [["B", 3]]) as [
      GraphBuilder,
      GraphTensor,
      GraphTensor,
    ];
    const joined = g.concat([a, b, a], -1);
    assert.deepEqual(shapeOf(joined), ["B", "2*T+3"]);
    assert.deepEqual(shapeOf(g.slice(joined, 1, "T", -1)), ["B", "T+2"]);
    assert.throws(() => g.concat([a, b], 0), /concat along axis 0/);
  });

  it("multiplies matrices by their last axes", () => {
    const [g, a, b] = withInputs([["B", "T", 8]], [[5, 8]]) as [
      GraphBuilder,
      GraphTensor,
      GraphTensor,
    ];
    assert.deepEqual(shapeOf(g.matmul(a, b, { transB: true })), ["B", "T", 5]);
    assert.throws(() => g.matmul(a, b), /matmul.*8 is not 5/);
  });

  it("puts the shape of ids where the gathered axis was", () => {
    const [g, x, at] = withInputs([["V", 8]], [["B", "T"], "i64"]) as [
      GraphBuilder,
      GraphTensor,
      GraphTensor,
    ];
    assert.deepEqual(shapeOf(g.gather(x, at, 0)), ["B", "T", 8]);
    assert.throws(() => g.gather(x, x, 0), /ids of gather needs i64/);
  });

  it("names the heads that do not fit", () => {
    const [g, q, k] = withInputs([["B", "T", 8]], [["B", "T", 6]]) as [
      GraphBuilder,
      GraphTensor,
      GraphTensor,
    ];
    const options = { heads: 4, kvHeads: 2, scale: 1 };
    assert.throws(() => g.causalAttention(q, k, k, options), /4 query and 2 key heads/);
  });

  it("refuses an axis that is not there and a k that is too large", () => {
    const [g, x] = withInputs([["B", 4]]) as [GraphBuilder, GraphTensor];
    assert.throws(() => g.softmax(x, 2), /axis 2 does not exist in a tensor of rank 2/);
    assert.throws(() => g.topK(x, 5, -1), /k 5 .*allowed are 1 to 4/);
  });
});
