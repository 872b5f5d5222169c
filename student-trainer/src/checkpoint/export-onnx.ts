import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { buildOnnxDecoder, type WeightEntrance } from "./onnx-decoder.js";
import { modelParameters, type StudentModel } from "./student-model.js";

/** A protobuf message ends at 2 GiB; above this, weights go into a file beside it. */
const INLINE_LIMIT_BYTES = 1 << 30;
const DATA_FILE = "model.onnx_data";

export interface OnnxExportOptions {
  readonly model: StudentModel;
  /** The Hugging Face directory (`exportModel`) to which `onnx/` is added. */
  readonly outDir: string;
  /** Weights above this size are written to `model.onnx_data`. Default: 1 GiB. */
  readonly inlineLimitBytes?: number;
}

/** Writes `onnx/model.onnx` in the layout that transformers.js, optimum and onnxruntime's own tools serve as it is, f32.
 * Large weights lie in `onnx/model.onnx_data` (transformers.js: `use_external_data_format`). Returns the model's path. */
export async function exportOnnx({
  model,
  outDir,
  inlineLimitBytes = INLINE_LIMIT_BYTES,
}: OnnxExportOptions): Promise<string> {
  const dir = join(outDir, "onnx");
  await mkdir(dir, { recursive: true });
  const parameters = modelParameters(model);
  const sizeBytes = parameters.reduce((sum, { values }) => sum + values.byteLength, 0);
  const external = sizeBytes > inlineLimitBytes;
  if (external) {
    await writeFileAtomic(
      join(dir, DATA_FILE),
      parameters.map(({ values }) => bytesOf(values)),
    );
  }
  const path = join(dir, "model.onnx");
  const graph = buildOnnxDecoder(model, external ? externally() : inline);
  await writeFileAtomic(path, [serializeGraph(graph)]);
  return path;
}

const inline: WeightEntrance = (g, { shape, values }) => g.constant(values, shape);

/** Weight after weight, in the order in which they enter the graph. */
function externally(): WeightEntrance {
  let end = 0;
  return (g, { name, shape, values }) => {
    const offset = end;
    end += values.byteLength;
    return g.parameter(name, shape, {
      location: DATA_FILE,
      offset,
      length: values.byteLength,
      dtype: "f32",
    });
  };
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
