/** Processor time of each loss with its gradient by the logits, as a ratio to forward KL's in the same run: each loss against forward KL in the same
 * form (list or dense), runs alternating. Without the head's matrix product, beside which all of them are small.
 * Options: --vocabulary V (49152), --rows N (256), --runs R (7), --losses NAMES (all, comma-separated). One thread. */
import { parseArgs } from "node:util";
import type { Graph } from "@tandem/shared/onnx/graph.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { listLosses } from "@tandem/student-trainer";
import { buildLossGraph } from "@tandem/student-trainer/evaluate-loss/loss-graph.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";

interface Sizes {
  readonly vocabulary: number;
  readonly rows: number;
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
    const plain = await prepare("forward-kl", form === "dense" ? { dense: true } : {}, sizes);
    for (const { name, options, requires } of listLosses()) {
      if (wanted.length > 0 && !wanted.includes(name)) continue;
      const canBeDense = options.some((option) => option.name === "dense");
      const isDense = requires.signal?.dense === "f32";
      if (form === "dense" ? !(canBeDense || isDense) : isDense) continue;
      const chosen = form === "dense" && canBeDense ? { dense: true } : {};
      const own = await prepare(name, chosen, sizes);
      results.push({ loss: name, form, ...(await compare(own, plain, Number(values["runs"]))) });
      await own.close();
    }
    await plain.close();
  }
  return { ...sizes, results };
}

async function compare(own: Timed, plain: Timed, runs: number): Promise<object> {
  await own.run();
  await plain.run();
  const [ownMs, plainMs]: [number[], number[]] = [[], []];
  for (let index = 0; index < runs; index++) {
    ownMs.push(await own.run());
    plainMs.push(await plain.run());
  }
  const [milliseconds, forwardKl] = [median(ownMs), median(plainMs)];
  return { milliseconds, ratio: Number((milliseconds / forwardKl).toFixed(2)) };
}

async function prepare(name: string, options: object, { vocabulary, rows }: Sizes): Promise<Timed> {
  const losses = new LossSet(lossesSchema.parse([{ name, ...options }]));
  const requirement = losses.requirement(0);
  const graph = buildLossGraph({ losses, requirement, rows, vocabulary });
  const session = await createOrtSession(serializeGraph(graph), { threads: 1 });
  const feeds = plausibleFeeds(graph);
  return {
    run: async () => {
      const before = process.cpuUsage();
      await session.run(feeds, ["perToken", "gradient"]);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    },
    close: () => session.close(),
  };
}

/** Numbers of the right sizes and magnitudes: times do not depend on more. */
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
  return (_, at) => 4 * Math.sin(0.001 * at * at + at);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
