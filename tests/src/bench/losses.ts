/** Processor time of each loss with its gradient by the logits, one thread, runs alternating, as a ratio to forward KL in the same form (list or
 * dense): `ratio` to forward KL as it trains, a few rows at a time, `toPlain` to forward KL over all rows at once, as a framework computes it
 * operation by operation. Without the head's matrix product, beside which all of them are small.
 * Options: --vocabulary V (49152), --rows N (256, a multiple of 32), --runs R (7), --losses NAMES (all, comma-separated). */
import { parseArgs } from "node:util";
import type { Graph } from "@tandem/shared/onnx/graph.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { listLosses } from "@tandem/student-trainer";
import { buildLossGraph } from "@tandem/student-trainer/evaluate-loss/loss-graph.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { spread } from "./spread.js";

interface Sizes {
  readonly vocabulary: number;
  readonly rows: number;
  readonly blockRows?: number;
}

interface Timed {
  /** Milliseconds of processor time of one run. */
  readonly run: () => Promise<number>;
  readonly close: () => Promise<void>;
}

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      vocabulary: { type: "string", default: "49152" },
      rows: { type: "string", default: "256" },
      runs: { type: "string", default: "7" },
      losses: { type: "string", default: "" },
    },
  });
  const sizes = { vocabulary: Number(values["vocabulary"]), rows: Number(values["rows"]) };
  const wanted = String(values["losses"]).split(",").filter(Boolean);
  const results: object[] = [];
  for (const form of ["list", "dense"] as const) {
    const options = form === "dense" ? { dense: true } : {};
    const forwardKl = await prepare("forward-kl", options, sizes);
    const plain = await prepare("forward-kl", options, { ...sizes, blockRows: 1 });
    for (const { name, options, requires } of listLosses()) {
      if (wanted.length > 0 && !wanted.includes(name)) continue;
      // Their cost is that of their layers' width.
      if (requires.studentLayers !== undefined || requires.signal?.hiddenLayers?.length) continue;
      const canBeDense = options.some((option) => option.name === "dense");
      const isDense = requires.signal?.dense === "f32" && !canBeDense;
      if (form === "dense" ? !(canBeDense || isDense) : isDense) continue;
      const chosen = canBeDense ? { dense: form === "dense" } : {};
      const own = await prepare(name, chosen, sizes);
      const compared = await compare([own, forwardKl, plain], Number(values["runs"]));
      results.push({ loss: name, form, ...compared });
      await own.close();
    }
    await forwardKl.close();
    await plain.close();
  }
  return { ...sizes, results };
}

async function compare(timed: readonly Timed[], runs: number): Promise<object> {
  const times = timed.map((): number[] => []);
  for (let index = -1; index < runs; index++) {
    for (const [at, { run: once }] of timed.entries()) {
      const milliseconds = await once();
      if (index >= 0) times[at]!.push(milliseconds);
    }
  }
  const [milliseconds, forwardKl, plain] = times.map((values) => spread(values).median) as [
    number,
    number,
    number,
  ];
  const rounded = (ratio: number) => Number(ratio.toFixed(2));
  const ratios = {
    ratio: rounded(milliseconds / forwardKl),
    toPlain: rounded(milliseconds / plain),
  };
  return { milliseconds, ...ratios };
}

async function prepare(name: string, options: object, sizes: Sizes): Promise<Timed> {
  const losses = new LossSet(lossesSchema.parse([{ name, ...options }]));
  const requirement = losses.requirement(0);
  const graph = buildLossGraph({ losses, requirement, ...sizes });
  const session = await createOrtSession(serializeGraph(graph), { threads: 1 });
  const feeds = plausibleFeeds(graph);
  return {
    run: async () => {
      const before = process.cpuUsage();
      // The gradient is computed, but not copied out.
      await session.run(feeds, ["perToken"]);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    },
    close: () => session.close(),
  };
}

/** Numbers of the right sizes and magnitudes, logits with few ids far above the others, as a language model's: what sorts depends on it. */
function plausibleFeeds(graph: Graph): Record<string, HostTensor> {
  const feeds: Record<string, HostTensor> = {};
  for (const node of graph.nodes) {
    if (node.kind !== "input") continue;
    const { name, dtype } = node.attributes;
    const shape = node.attributes.shape as readonly number[];
    const size = shape.reduce((product, dim) => product * dim, 1);
    if (dtype === "i64") {
      const width = shape[1] ?? 1;
      feeds[name] = i64Tensor(
        Array.from({ length: size }, (_, at) => (at % width) * 7 + 3),
        shape,
      );
    } else {
      feeds[name] = f32Tensor(Float32Array.from({ length: size }, valueOf(name)), shape);
    }
  }
  return feeds;
}

function valueOf(name: string): (_: unknown, at: number) => number {
  if (name === "lse") return () => 12;
  if (name.startsWith("top.logTail")) return () => -1;
  if (/^(column|coefficients|scalars)/.test(name)) return () => 0.5;
  return (_, at) => {
    const x = 4 * Math.sin(0.7 * at) + 5 * Math.sin(0.0013 * at * at + at);
    return 0.02 * x ** 3 + (at % 5000 === 123 ? 20 : 0);
  };
}
