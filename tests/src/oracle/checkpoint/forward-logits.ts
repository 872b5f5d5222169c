import {
  attendWithinRows,
  decode,
  logits,
  placeValues,
  type PlaceInputs,
} from "@tandem/shared/models/decoder.js";
import { listParameters } from "@tandem/shared/models/parameters.js";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import type { StudentModel } from "@tandem/student-trainer/checkpoint/student-model.js";

/** Logits [B,T,V], flattened, of equally long rows: the plain forward pass. */
export async function forwardLogits(
  { config, weights }: StudentModel,
  rows: readonly (readonly number[])[],
): Promise<Float32Array> {
  const [B, T] = [rows.length, rows[0]!.length];
  const g = new GraphBuilder();
  const feeds: Record<string, HostTensor> = { ids: i64Tensor(rows.flat(), [B * T]) };
  const parameters = new Map<string, GraphTensor>();
  for (const { name, shape } of listParameters(config)) {
    parameters.set(name, g.input(name, "f32", shape));
    feeds[name] = f32Tensor(weights.get(name)!, shape);
  }
  const values = placeValues(
    config,
    rows.flatMap((row) => row.map((_, at) => at)),
  );
  let places: PlaceInputs<GraphTensor>;
  if (values.kind === "learned") {
    feeds["positions"] = i64Tensor(values.positions, [B * T]);
    places = { kind: "learned", positions: g.input("positions", "i64", [B * T]) };
  } else {
    const shape = [B * T, values.width];
    feeds["cos"] = f32Tensor(values.cos, shape);
    feeds["sin"] = f32Tensor(values.sin, shape);
    places = {
      kind: "rotary",
      cos: g.input("cos", "f32", shape),
      sin: g.input("sin", "f32", shape),
    };
  }
  const weight = (name: string): GraphTensor => parameters.get(name)!;
  const { hidden } = decode(g, config, weight, {
    ids: g.input("ids", "i64", [B * T]),
    places,
    attend: attendWithinRows(g, config, { rows: B, positions: T }),
  });
  g.output("logits", logits(g, config, weight, { hidden }));
  const session = await createOrtSession(serializeGraph(g.build()), { threads: 1 });
  const results = await session.run(feeds, ["logits"]);
  await session.close();
  return results["logits"]!.data as Float32Array;
}
