import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { replay } from "@tandem/shared/onnx/replay.js";
import { ReferenceOps } from "@tandem/student-trainer/engines/reference/reference-ops.js";
import { referenceTensor } from "@tandem/student-trainer/engines/reference/reference-tensor.js";

function sumGraph(): ReturnType<GraphBuilder["build"]> {
  const g = new GraphBuilder();
  g.output("y", g.add(g.input("a", "f32", ["N", 2]), g.input("b", "f32", ["N", 1])));
  return g.build();
}

describe("replay", () => {
  it("runs a graph on another implementation of the algebra", () => {
    const feeds = new Map([
      ["a", referenceTensor([1, 2, 3, 4], [2, 2])],
      ["b", referenceTensor([10, 20], [2, 1])],
    ]);
    const y = replay(sumGraph(), new ReferenceOps(), feeds).get("y");
    assert.deepEqual(y?.data, Float64Array.of(11, 12, 23, 24));
  });

  it("rebuilds an equal graph when it runs on a builder", () => {
    const target = new GraphBuilder();
    const a = target.input("a", "f32", [3, 2]);
    const b = target.input("b", "f32", [3, 1]);
    const feeds = new Map([
      ["a", a],
      ["b", b],
    ]);
    assert.equal(replay(sumGraph(), target, feeds).get("y"), target.add(a, b));
  });

  it("refuses sizes that contradict each other, and missing feeds", () => {
    const ops = new ReferenceOps();
    const a = referenceTensor([1, 2, 3, 4], [2, 2]);
    const b = referenceTensor([1, 2, 3], [3, 1]);
    const feeds = new Map([
      ["a", a],
      ["b", b],
    ]);
    assert.throws(() => replay(sumGraph(), ops, feeds), /"b" is fed with shape \[3,1\].*"N" is 2/);
    assert.throws(() => replay(sumGraph(), ops, new Map([["a", a]])), /nothing is fed as "b"/);
  });
});
