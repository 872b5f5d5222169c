import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { printGraph } from "@tandem/shared/onnx/print.js";

function print(builder: GraphBuilder): readonly string[] {
  return printGraph(builder.build()).split("\n");
}

describe("GraphBuilder", () => {
  it("prints one line per operation", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["B", "T", 4]);
    const weight = g.parameter("w", [8, 4], {
      location: "model.safetensors",
      offset: 16,
      length: 64,
      dtype: "bf16",
    });
    const y = g.reduceSum(g.mul(g.matmul(x, weight, { transB: true }), g.scalar(2)), {
      axes: [-1],
    });
    g.output("y", y);
    assert.deepEqual(print(g), [
      "%0 = input{x}() : f32[B,T,4]",
      "%1 = parameter{w}() : f32[8,4]",
      "%2 = matmul{transA=false,transB=true}(%0, %1) : f32[B,T,8]",
      "%3 = constant{2}() : f32[]",
      "%4 = mul(%2, %3) : f32[B,T,8]",
      "%5 = reduceSum{axes=[2],keepDims=false}(%4) : f32[B,T]",
      "-> y=%5",
    ]);
  });

  it("records an operation on equal inputs once", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N"]);
    assert.equal(g.exp(g.add(x, g.scalar(1))), g.exp(g.add(x, g.scalar(1))));
    assert.notEqual(g.add(x, g.scalar(0)), g.add(x, g.scalar(-0)));
    assert.notEqual(g.scalar(1), g.scalar(1, "i64"));
    assert.notEqual(g.scalar(Infinity), g.scalar(-Infinity));
  });

  it("drops what no output needs and keeps every declared input", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N"]);
    g.exp(g.input("unused", "f32", [2]));
    g.output("y", g.neg(x));
    assert.deepEqual(print(g), [
      "%0 = input{x}() : f32[N]",
      "%1 = input{unused}() : f32[2]",
      "%2 = neg(%0) : f32[N]",
      "-> y=%2",
    ]);
  });

  it("leaves out reshapes, slices, pads, casts and expansions that change nothing", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["B", 4]);
    assert.equal(g.reshape(g.reshape(x, [-1]), ["B", 4]), x);
    assert.equal(g.slice(x, 0, 0, Infinity), x);
    assert.equal(g.pad(x, 0, 0, 0), x);
    assert.equal(g.cast(x, "f32"), x);
    assert.equal(g.expand(x, ["B", 4]), x);
    assert.equal(g.concat([x], 0), x);
  });

  it("broadcasts an expanded operand instead of repeating it", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["B", 4]);
    const row = g.input("row", "f32", [4]);
    assert.equal(g.mul(x, g.expand(row, ["B", 4])), g.mul(x, row));
    const both = g.add(g.expand(row, ["B", 4]), g.expand(row, ["B", 4]));
    assert.deepEqual(both.shape, ["B", 4]);
  });

  it("adds scattered rows to what is there instead of to zeros", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["B", 4]);
    const ids = g.input("ids", "i64", ["B", 2]);
    const updates = g.input("updates", "f32", ["B", 2]);
    const zeros = g.expand(g.scalar(0), ["B", 4]);
    const scattered = g.scatterAlongAxis(zeros, ids, updates, 1, "add");
    const direct = g.scatterAlongAxis(x, ids, updates, 1, "add");
    assert.equal(g.add(x, scattered), direct);
    assert.equal(g.add(scattered, x), direct);
    const other = g.scatterAlongAxis(g.exp(x), ids, updates, 1, "add");
    assert.equal(g.add(x, other).node.kind, "add");
  });

  it("takes exponentials of log-laws as laws", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N", 2048]);
    const law = g.softmax(x, 1);
    assert.equal(g.exp(g.logSoftmax(x, 1)), law);
    assert.equal(g.exp(g.sub(x, g.unsqueeze(g.logSumExp(x, 1), 1))), law);
    assert.equal(g.exp(g.sub(x, g.unsqueeze(g.logSumExp(g.neg(x), 1), 1))).node.kind, "exp");
    assert.equal(g.exp(g.log(x)), x);
  });

  it("keeps what is subtracted from long rows outermost, and takes it from means instead of terms", () => {
    const g = new GraphBuilder();
    const input = (name: string, width: number) => g.input(name, "f32", ["N", width]);
    const [x, y, a, b] = [input("x", 2048), input("y", 2048), input("a", 1), input("b", 1)];
    const floored = g.maximum(g.sub(x, a), g.scalar(-100));
    const gap = g.sub(floored, g.sub(y, b));
    assert.equal(gap, g.sub(g.sub(g.maximum(x, g.add(a, g.scalar(-100))), y), g.sub(a, b)));
    const q = g.softmax(y, 1);
    const mean = g.reduceSum(g.mul(q, g.sub(x, a)), { axes: [1] });
    assert.equal(mean, g.sub(g.reduceSum(g.mul(q, x), { axes: [1] }), g.squeeze(a, 1)));
    // Other weights do not add up to 1, and short rows are left as they are.
    const terms = g.mul(y, g.sub(x, a));
    assert.equal(g.reduceSum(terms, { axes: [1] }).node.inputs[0], terms);
    const short = g.sub(input("short", 8), a);
    assert.equal(g.sub(short, b).node.inputs[0], short);
  });

  it("multiplies a product with a column by another column in one pass", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N", 8]);
    const [a, b] = [g.input("a", "f32", ["N", 1]), g.input("b", "f32", ["N", 1])];
    assert.equal(g.mul(b, g.mul(x, a)), g.mul(x, g.mul(a, b)));
    assert.equal(g.div(g.mul(a, x), b), g.mul(x, g.div(a, b)));
    const other = g.mul(x, g.input("y", "f32", ["N", 8]));
    assert.equal(g.mul(other, a).node.inputs[0], other);
  });

  it("refuses a name that is taken", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", [1]);
    assert.throws(() => g.input("x", "f32", [1]), /named "x" already/);
    assert.throws(() => g.output("x", x), /named "x" already/);
  });

  it("refuses a constant whose values do not fill its shape", () => {
    assert.throws(() => new GraphBuilder().constant([1, 2, 3], [2, 2]), /needs 4 values, got 3/);
  });

  it("makes graphs that cannot be changed", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", [1]);
    assert.ok(Object.isFrozen(x) && Object.isFrozen(x.node) && Object.isFrozen(g.build()));
  });
});
