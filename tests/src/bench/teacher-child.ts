/** The floor that `bench teacher` is held against, in a process of its own: the same transformer in bare session runs, then the head in row
 * chunks with one scalar per row coming out. Nothing is scheduled, no signal is computed or sent. */
import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { bindFiles } from "@tandem/shared/inference/bound-weights.js";
import { BodySession } from "@tandem/shared/inference/body-session.js";
import { collate } from "@tandem/shared/inference/collate.js";
import { KvBucket } from "@tandem/shared/inference/kv-bucket.js";
import { bindQuantized } from "@tandem/shared/inference/quantized-weights.js";
import { kvShape, slotLengthFor } from "@tandem/shared/inference/kv-shape.js";
import { logits } from "@tandem/shared/models/decoder.js";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import type { Quantization } from "@tandem/shared/quantization/quantization.js";
import { f32Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";

export interface BareSetup {
  readonly dir: string;
  readonly vocabulary: number;
  readonly threads: number;
  /** Equal lengths. */
  readonly sequences: readonly Uint32Array[];
  /** Rows that share a run of the body. */
  readonly rowsPerRun: number;
  /** Positions per run of the head. */
  readonly headRows: number;
  readonly quantized?: { readonly quantization: Quantization; readonly file: string };
}

export interface BareTimes {
  readonly bodyMs: number;
  readonly headMs: number;
}

type Measure = () => Promise<BareTimes>;

async function prepare(setup: BareSetup): Promise<Measure> {
  const config = await readModelConfig(setup.dir);
  const { vocabulary, quantized } = setup;
  const weights =
    quantized === undefined
      ? bindFiles(config, await CheckpointWeights.open(setup.dir), vocabulary)
      : await bindQuantized(quantized.file, {
          config,
          vocabulary,
          ...quantized,
        });
  const headWeights = weights.headCopy();
  const body = await BodySession.create(config, weights, { threads: setup.threads, spin: true });
  const builder = new GraphBuilder();
  const hidden = builder.input("hidden", "f32", ["n", config.hiddenSize]);
  const u = logits(builder, { ...config, vocabSize: vocabulary }, headWeights.source(builder), {
    hidden,
  });
  builder.output("best", builder.reduceMax(u, { axes: [1] }));
  const head = await createOrtSession(serializeGraph(builder.build()), {
    threads: setup.threads,
    spin: true,
    ...headWeights.session,
  });
  const slotLength = slotLengthFor(setup.sequences[0]?.length ?? 1);
  const bucket = new KvBucket(kvShape(config), slotLength);
  bucket.resize(setup.rowsPerRun);
  const runs = Array.from(
    { length: Math.ceil(setup.sequences.length / setup.rowsPerRun) },
    (_, i) => {
      const rows = setup.sequences.slice(i * setup.rowsPerRun, (i + 1) * setup.rowsPerRun);
      return collate(rows.map((tokens, cache) => ({ cache, slotLength, start: 0, tokens })));
    },
  );
  return async () => {
    let bodyMs = 0;
    let headMs = 0;
    for (const batch of runs) {
      const began = performance.now();
      const output = await body.run(batch, {
        bucket,
        firstSlot: 0,
        hiddenRows: [],
        states: new Set(),
      });
      const computed = performance.now();
      const D = config.hiddenSize;
      const n = output.hidden.length / D;
      for (let row = 0; row < n; row += setup.headRows) {
        const count = Math.min(setup.headRows, n - row);
        await head.run(
          { hidden: f32Tensor(output.hidden.subarray(row * D, (row + count) * D), [count, D]) },
          ["best"],
        );
      }
      bodyMs += computed - began;
      headMs += performance.now() - computed;
    }
    return { bodyMs, headMs };
  };
}

let measure: Measure | undefined;

async function answer(message: BareSetup | "measure"): Promise<void> {
  if (message === "measure") process.send?.(await measure?.());
  else {
    measure = await prepare(message);
    process.send?.("ready");
  }
}

process.on("message", (message) => {
  answer(message as BareSetup | "measure").catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
process.on("disconnect", () => process.exit(0));
