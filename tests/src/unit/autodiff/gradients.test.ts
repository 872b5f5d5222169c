import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import { printGraph } from "@tandem/shared/onnx/print.js";
import { gradients } from "@tandem/student-trainer/autodiff/gradients.js";

function printOutput(builder: GraphBuilder, tensor: GraphTensor): readonly string[] {
  builder.output("dx", tensor);
  return printGraph(builder.build()).split("\n");
}

describe("gradients", () => {
  it("writes the gradient of a linear layer as one product", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["B", "T", 4]);
    const w = g.input("w", "f32", [6, 4]);
    const seed = g.input("seed", "f32", ["B", "T", 6]);
    const y = g.matmul(x, w, { transB: true });
    const [dw] = gradients(g, { outputs: [y], seeds: [seed], wrt: [w] });
    assert.deepEqual(printOutput(g, dw as GraphTensor), [
      "%0 = input{x}() : f32[B,T,4]",
      "%1 = input{w}() : f32[6,4]",
      "%2 = input{seed}() : f32[B,T,6]",
      "%3 = reshape{shape=[B*T,4]}(%0) : f32[B*T,4]",
      "%4 = reshape{shape=[B*T,6]}(%2) : f32[B*T,6]",
      "%5 = matmul{transA=true,transB=false}(%4, %3) : f32[6,4]",
      "-> dx=%5",
    ]);
  });

  it("transposes the narrow side of a product with a wide one, and a sum of such products once", () => {
    const g = new GraphBuilder();
    const w = g.input("w", "f32", [8, 4]);
    const chunks = ["N", "M"].map((rows, at) => {
      const x = g.input(`x${at}`, "f32", [rows, 4]);
      const seed = g.input(`seed${at}`, "f32", [rows, 8]);
      const y = g.matmul(x, w, { transB: true });
      return gradients(g, { outputs: [y], seeds: [seed], wrt: [w] })[0] as GraphTensor;
    });
    const sum = g.add(chunks[0] as GraphTensor, chunks[1] as GraphTensor);
    assert.deepEqual(printOutput(g, sum).slice(3), [
      "%3 = transpose{permutation=[1,0]}(%1) : f32[4,N]",
      "%4 = matmul{transA=false,transB=false}(%3, %2) : f32[4,8]",
      "%5 = input{x1}() : f32[M,4]",
      "%6 = input{seed1}() : f32[M,8]",
      "%7 = transpose{permutation=[1,0]}(%5) : f32[4,M]",
      "%8 = matmul{transA=false,transB=false}(%7, %6) : f32[4,8]",
      "%9 = add(%4, %8) : f32[4,8]",
      "%10 = transpose{permutation=[1,0]}(%9) : f32[8,4]",
      "-> dx=%10",
    ]);
  });

  it("sums a gradient over the axes along which its tensor was repeated", () => {
    const g = new GraphBuilder();
    const bias = g.input("bias", "f32", [1, 4]);
    const seed = g.input("seed", "f32", ["B", "T", 4]);
    const y = g.add(g.input("x", "f32", ["B", "T", 4]), bias);
    const [db] = gradients(g, { outputs: [y], seeds: [seed], wrt: [bias] });
    assert.deepEqual(printOutput(g, db as GraphTensor).slice(3), [
      "%3 = reduceSum{axes=[0,1],keepDims=false}(%1) : f32[4]",
      "%4 = reshape{shape=[1,4]}(%3) : f32[1,4]",
      "-> dx=%4",
    ]);
  });

  it("adds what comes back along several paths", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", []);
    const [dx] = gradients(g, { outputs: [g.add(g.exp(x), g.neg(x))], wrt: [x] });
    assert.deepEqual(printOutput(g, dx as GraphTensor), [
      "%0 = input{x}() : f32[]",
      "%1 = exp(%0) : f32[]",
      "%2 = constant{1}() : f32[]",
      "%3 = neg(%2) : f32[]",
      "%4 = mul(%2, %1) : f32[]",
      "%5 = add(%3, %4) : f32[]",
      "-> dx=%5",
    ]);
  });

  it("gives zeros where no path leads", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N"]);
    const other = g.input("other", "f32", ["N"]);
    const [dOther] = gradients(g, { outputs: [g.stopGradient(other), x], wrt: [other, x] });
    assert.equal(dOther, g.expand(g.scalar(0), ["N"]));
  });

  it("does not walk behind the tensors that are asked for", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N"]);
    const hidden = g.exp(x);
    const y = g.sin(hidden);
    const [dHidden] = gradients(g, { outputs: [y], wrt: [hidden] });
    const kinds = printOutput(g, dHidden as GraphTensor).join("\n");
    assert.match(kinds, /cos/);
    assert.doesNotMatch(kinds, /mul.*mul/s);
  });

  it("differentiates by a tensor in between and by what is behind it at once", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", []);
    const hidden = g.exp(x);
    const [dHidden, dx] = gradients(g, { outputs: [g.sin(hidden)], wrt: [hidden, x] });
    assert.equal(dHidden, g.mul(g.scalar(1), g.cos(hidden)));
    assert.equal(dx, g.mul(dHidden as GraphTensor, hidden));
  });

  it("refuses an operation that only inference has", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N", 5]);
    const { values } = g.topKDynamic(x, g.input("k", "i64", [1]), "K");
    assert.throws(() => gradients(g, { outputs: [g.reduceSum(values)], wrt: [x] }), {
      code: "UNIMPLEMENTED",
      message: /topKDynamic is for inference/,
    });
  });
});
