import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { ModelProto } from "@tandem/shared/onnx/onnx-proto.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { i64Tensor, f32Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";

interface ParsedNode {
  readonly opType: string;
  readonly domain?: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
}

interface ParsedModel {
  readonly irVersion: number;
  readonly opsetImport: readonly { readonly domain?: string; readonly version: number }[];
  readonly graph: {
    readonly node: readonly ParsedNode[];
    readonly initializer: readonly { readonly name: string; readonly dims: readonly number[] }[];
    readonly input: readonly { readonly name: string }[];
    readonly output: readonly { readonly name: string }[];
  };
}

function parse(builder: GraphBuilder): ParsedModel {
  const message = ModelProto.decode(serializeGraph(builder.build()));
  return ModelProto.toObject(message, { longs: Number, bytes: Array }) as ParsedModel;
}

function opTypes(builder: GraphBuilder): readonly string[] {
  return parse(builder).graph.node.map(({ opType }) => opType);
}

describe("serializeGraph", () => {
  it("writes opset 24 and IR version 12", () => {
    const g = new GraphBuilder();
    g.output("y", g.exp(g.input("x", "f32", ["N"])));
    const model = parse(g);
    assert.equal(model.irVersion, 12);
    assert.deepEqual(model.opsetImport, [{ version: 24 }, { domain: "com.microsoft", version: 1 }]);
  });

  it("names values of the interface as they were declared and all others with a slash", () => {
    const g = new GraphBuilder();
    g.output("y", g.exp(g.neg(g.input("x", "f32", ["N"]))));
    const { graph } = parse(g);
    assert.deepEqual(
      graph.node.map(({ opType, input, output }) => [opType, input, output]),
      [
        ["Neg", ["x"], ["/Neg_0"]],
        ["Exp", ["/Neg_0"], ["y"]],
      ],
    );
  });

  it("points to the bytes of a parameter in its file", () => {
    const g = new GraphBuilder();
    const bytes = {
      location: "a.safetensors",
      offset: 1 << 20,
      length: 24,
      dtype: "bf16",
    } as const;
    g.output("y", g.neg(g.parameter("w", [3, 4], bytes)));
    const { graph } = parse(g);
    assert.deepEqual(graph.initializer, [
      {
        name: "w",
        dims: [3, 4],
        dataType: 16,
        dataLocation: 1,
        externalData: [
          { key: "location", value: "a.safetensors" },
          { key: "offset", value: "1048576" },
          { key: "length", value: "24" },
        ],
      },
    ]);
    assert.deepEqual(opTypes(g), ["Cast", "Neg"]);
  });

  it("shares run-time sizes and small constants", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["B*T", 4]);
    const like = g.input("like", "f32", ["B", "T", 1]);
    g.output("y", g.mul(g.reshape(x, ["B", "T", 4]), like));
    g.output("z", g.reshape(g.exp(x), ["B", "T", 2, 2]));
    const shapes = opTypes(g).filter((op) => op === "Shape");
    assert.equal(shapes.length, 2, "one for B, one for T");
  });

  it("computes no sizes where 0 and −1 of Reshape say it", () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["B", "T", 8]);
    g.output("y", g.reshape(x, [-1, 8]));
    g.output("z", g.reshape(x, ["B", "T", 2, 4]));
    assert.deepEqual(opTypes(g), ["Reshape", "Reshape"]);
  });

  it("gives one tensor two names and passes inputs through", async () => {
    const g = new GraphBuilder();
    const x = g.input("x", "f32", ["N"]);
    const y = g.neg(x);
    g.output("y1", y);
    g.output("y2", y);
    g.output("same", x);
    const session = await createOrtSession(serializeGraph(g.build()), { threads: 1 });
    const results = await session.run({ x: f32Tensor(Float32Array.of(1, -2), [2]) }, [
      "y1",
      "y2",
      "same",
    ]);
    assert.deepEqual([...(results["y1"]?.data ?? [])], [-1, 2]);
    assert.deepEqual([...(results["y2"]?.data ?? [])], [-1, 2]);
    assert.deepEqual([...(results["same"]?.data ?? [])], [1, -2]);
    await session.close();
  });

  it("writes constants of every dtype", async () => {
    const g = new GraphBuilder();
    const x = g.input("x", "i64", [2]);
    g.output("i64", g.add(x, g.constant([2 ** 40, -1], [2], "i64")));
    g.output("f64", g.constant([0.1], [1], "f64"));
    g.output("bool", g.constant([1, 0], [2], "bool"));
    g.output("i32", g.constant([-7], [1], "i32"));
    const session = await createOrtSession(serializeGraph(g.build()), { threads: 1 });
    const results = await session.run({ x: i64Tensor([1, 2], [2]) }, session.outputNames);
    assert.deepEqual(results["i64"]?.data, BigInt64Array.of(2n ** 40n + 1n, 1n));
    assert.deepEqual(results["f64"]?.data, Float64Array.of(0.1));
    assert.deepEqual(results["bool"]?.data, Uint8Array.of(1, 0));
    assert.deepEqual(results["i32"]?.data, Int32Array.of(-7));
    await session.close();
  });

  it("refuses a size that no value has", () => {
    const g = new GraphBuilder();
    g.output("y", g.expand(g.input("x", "f32", [1]), ["M"]));
    assert.throws(() => serializeGraph(g.build()), /the size "M" .* of no input or earlier result/);
  });
});
