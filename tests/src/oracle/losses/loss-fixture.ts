/** The loss cases that tests/peers/make_training_fixtures.py computed with PyTorch in float64, and a way to run a loss on them. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { Graph, GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { gradients } from "@tandem/student-trainer/autodiff/gradients.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { packMicrobatch } from "@tandem/student-trainer/training/pack-microbatch.js";
import { signalInputs } from "@tandem/student-trainer/training/signal-inputs.js";
import { teacherTensors } from "@tandem/student-trainer/training/teacher-tensors.js";
import type { HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { readTensors } from "../../helpers/tiny-models.js";

export interface LossCase {
  readonly name: string;
  readonly topK?: number;
  readonly dense?: boolean;
  readonly temperature?: number;
  readonly beta?: number;
}

export interface LossFixture {
  readonly vocabulary: number;
  readonly rows: number;
  readonly student: Float32Array;
  readonly teacher: Float32Array;
  readonly targets: Uint32Array;
  readonly cases: readonly LossCase[];
  readonly tensors: ReadonlyMap<string, Float32Array>;
}

export async function readLossFixture(vocabulary: number): Promise<LossFixture> {
  const path = (file: string) =>
    fileURLToPath(new URL(`../../../fixtures/training/${file}`, import.meta.url));
  const tensors = await readTensors(path(`losses-${vocabulary}.safetensors`));
  const targets = Uint32Array.from(tensors.get("targets")!);
  return {
    vocabulary,
    rows: targets.length,
    student: tensors.get("student")!,
    teacher: tensors.get("teacher")!,
    targets,
    cases: JSON.parse(await readFile(path(`losses-${vocabulary}.json`), "utf8")) as LossCase[],
    tensors,
  };
}

/** The graph of one loss: inputs `logits`, `targets` and the signal's, outputs `perToken` [n] and `gradient` [n,V], that of Σ perToken. */
export function buildLossGraph(config: readonly object[], rows: number, vocabulary: number): Graph {
  const losses = new LossSet(lossesSchema.parse(config));
  const requirement = losses.requirement(0);
  const g = new GraphBuilder();
  const logits = g.input("logits", "f32", [rows, vocabulary]);
  const fed = signalInputs(requirement, vocabulary).map(({ name, dtype, width }) => {
    const shape = width === undefined ? [rows] : [rows, width];
    return [name, g.input(name, dtype, shape)] as const;
  });
  const [perToken] = losses.perToken<GraphTensor>(g, {
    logits,
    targets: g.input("targets", "i64", [rows]),
    ...teacherTensors(new Map(fed), requirement),
    scalars: [],
    columns: [],
    parameters: [],
  });
  const [gradient] = gradients(g, { outputs: [perToken!], wrt: [logits] });
  g.output("perToken", perToken!);
  g.output("gradient", gradient!);
  return g.build();
}

/** What to feed it: the teacher's signal goes through the same packing as in training. */
export function lossFeeds(fixture: LossFixture, index: number): Record<string, HostTensor> {
  const { vocabulary, rows, targets, student, cases } = fixture;
  const { name, ...options } = cases[index]!;
  const requirement = new LossSet(lossesSchema.parse([{ name, ...options }])).requirement(0);
  const rollout: Rollout = {
    row: 0,
    sample: 0,
    epoch: 0,
    prompt: Uint32Array.of(0),
    response: targets,
    authors: new Uint8Array(rows).fill(AUTHOR.student),
    finish: "length",
    signal: signalOfCase(fixture, index),
    stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
  };
  const { feeds } = packMicrobatch([{ rollout, coefficients: new Float64Array(rows).fill(1) }], {
    vocabulary,
    signalInputs: signalInputs(requirement, vocabulary),
    positionMultiple: 1,
    chunkRows: rows,
  });
  const own = Object.entries(feeds).flatMap(([key, tensor]) =>
    key.endsWith(".0") && key !== "coefficients.0" ? [[key.slice(0, -2), tensor] as const] : [],
  );
  return {
    ...Object.fromEntries(own),
    logits: { dtype: "f32", shape: [rows, vocabulary], data: student },
  };
}

function signalOfCase(fixture: LossFixture, index: number): TeacherSignal {
  const { teacher, rows, vocabulary, tensors, cases } = fixture;
  const { topK = 0, dense = false, temperature = 1 } = cases[index]!;
  const none = { from: 1, count: rows, topK: 0, tauCount: 0 };
  if (dense) {
    const taus = temperature === 1 ? {} : temperedParts(fixture, temperature, undefined);
    return { ...none, dense: teacher, ...taus };
  }
  if (topK === 0) return none;
  const topIds = new Uint32Array(rows * topK);
  const topLogits = new Float32Array(rows * topK);
  for (let row = 0; row < rows; row++) {
    const u = teacher.subarray(row * vocabulary, (row + 1) * vocabulary);
    // −∞ − −∞ is NaN, so equal logits are compared apart.
    const ids = Array.from(u.keys()).sort((a, b) => (u[a] === u[b] ? a - b : u[b]! - u[a]!));
    ids.slice(0, topK).forEach((id, column) => {
      topIds[row * topK + column] = id;
      topLogits[row * topK + column] = u[id]!;
    });
  }
  const tail = tensors.get(`${index}.logTail`) ?? new Float32Array(rows).fill(-Infinity);
  return {
    ...none,
    topK,
    topIds,
    topLogits,
    lse: tensors.get("lse.1.0")!,
    // Of a tempered case the fixture has only the tempered tail; the other must not matter.
    logTail: temperature === 1 ? tail : new Float32Array(rows).fill(NaN),
    ...(temperature === 1 ? {} : temperedParts(fixture, temperature, tail)),
  };
}

function temperedParts(
  { rows, tensors }: LossFixture,
  tau: number,
  logTailAt: Float32Array | undefined,
): Partial<TeacherSignal> & { readonly tauCount: number } {
  return {
    tauCount: 1,
    taus: new Float32Array(rows).fill(tau),
    lseAt: tensors.get(`lse.${tau}`)!,
    ...(logTailAt && { logTailAt }),
  };
}
