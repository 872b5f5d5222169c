import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { Graph, GraphTensor } from "@tandem/shared/onnx/graph.js";
import { replay } from "@tandem/shared/onnx/replay.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import type { HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { f32Tensor, i64Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { GRADIENT_RULES } from "@tandem/student-trainer/autodiff/gradient-rules.js";
import { gradients } from "@tandem/student-trainer/autodiff/gradients.js";
import { ReferenceOps } from "@tandem/student-trainer/engines/reference/reference-ops.js";
import type { ReferenceTensor } from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import { referenceTensor } from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { compoundCases } from "./compound-cases.js";
import { elementwiseCases } from "./elementwise-cases.js";
import type { CaseInput, OpCase } from "./op-case.js";
import { spread } from "./op-case.js";
import { structureCases } from "./structure-cases.js";

/** Central differences: the error of order h² is about 1e-9, that of rounding about 1e-11. */
const STEP = 1e-5;
const DIFFERENCE_TOLERANCE = { rtol: 2e-6, atol: 2e-7 };
/** f32 kernels against float64, values and gradients of order one. */
const F32_TOLERANCE = { rtol: 2e-5, atol: 2e-6 };

const ops = new ReferenceOps();
const kindsSeen = new Set<string>();

interface Built {
  readonly graph: Graph;
  readonly wrt: readonly number[];
}

function buildCase(opCase: OpCase): Built {
  const builder = new GraphBuilder();
  const xs = opCase.inputs.map(({ dtype, shape }, index) =>
    builder.input(`x${index}`, dtype, shape),
  );
  const y = opCase.build(builder, xs);
  const seed = builder.input("seed", y.dtype, y.shape);
  const isFloat = (index: number): boolean => opCase.inputs[index]?.dtype === "f32";
  const wrt = opCase.wrt ?? xs.map((_, index) => index).filter(isFloat);
  const targets = wrt.map((index) => xs[index] as GraphTensor);
  const found = gradients(builder, { outputs: [y], seeds: [seed], wrt: targets });
  builder.output("y", y);
  found.forEach((gradient, at) => builder.output(`dx${wrt[at]}`, gradient));
  const graph = builder.build();
  for (const node of graph.nodes) kindsSeen.add(node.kind);
  return { graph, wrt };
}

function buildForward(opCase: OpCase): Graph {
  const builder = new GraphBuilder();
  const xs = opCase.inputs.map(({ dtype, shape }, index) =>
    builder.input(`x${index}`, dtype, shape),
  );
  builder.output("y", opCase.build(builder, xs));
  return builder.build();
}

function toFeeds(inputs: readonly CaseInput[]): Map<string, ReferenceTensor> {
  return new Map(
    inputs.map(({ dtype, sizes, values }, index) => [
      `x${index}`,
      referenceTensor(values, sizes, dtype),
    ]),
  );
}

function resultOf<T>(results: ReadonlyMap<string, T>, name: string): T {
  const result = results.get(name);
  assert.ok(result !== undefined, `the graph has no output ${name}`);
  return result;
}

/** Σ seed·(y(x+h) − y(x−h)) / 2h for each element of one input. */
function differences(
  forward: Graph,
  opCase: OpCase,
  seed: ReferenceTensor,
  index: number,
): readonly number[] {
  const input = opCase.inputs[index] as CaseInput;
  const at = (place: number, step: number): Float64Array => {
    const moved = input.values.with(place, (input.values[place] as number) + step);
    const inputs = opCase.inputs.with(index, { ...input, values: moved });
    return resultOf(replay(forward, ops, toFeeds(inputs)), "y").data;
  };
  return input.values.map((_, place) => {
    const [above, below] = [at(place, STEP), at(place, -STEP)];
    return above.reduce((sum, value, element) => {
      const slope =
        value === below[element] ? 0 : (value - (below[element] as number)) / (2 * STEP);
      return sum + slope * (seed.data[element] as number);
    }, 0);
  });
}

function toHost({ dtype, shape, data }: ReferenceTensor): HostTensor {
  if (dtype === "i64") return i64Tensor(data, shape);
  return f32Tensor(Float32Array.from(data), shape);
}

async function runSession(
  graph: Graph,
  feeds: ReadonlyMap<string, ReferenceTensor>,
): Promise<ReadonlyMap<string, HostTensor>> {
  const session = await createOrtSession(serializeGraph(graph), { threads: 1 });
  try {
    const inputs = [...feeds].map(([name, value]) => [name, toHost(value)] as const);
    return new Map(
      Object.entries(await session.run(Object.fromEntries(inputs), session.outputNames)),
    );
  } finally {
    await session.close();
  }
}

function asNumbers(tensor: HostTensor): readonly number[] {
  return Array.from(tensor.data as Float32Array, Number);
}

function checkCase(opCase: OpCase): void {
  const { graph, wrt } = buildCase(opCase);
  const forward = buildForward(opCase);
  const feeds = toFeeds(opCase.inputs);
  const y = resultOf(replay(forward, ops, feeds), "y");
  const seedValues =
    opCase.expected === undefined ? spread(y.data.length, 200) : y.data.map(() => 1);
  const seed = referenceTensor(Array.from(seedValues, Math.fround), y.shape);
  const allFeeds = new Map([...feeds, ["seed", seed] as const]);
  const results = replay(graph, ops, allFeeds);

  it(`${opCase.name}: the rule is the slope of the float64 reference`, () => {
    for (const index of wrt) {
      const actual = resultOf(results, `dx${index}`);
      assert.deepEqual(actual.shape, opCase.inputs[index]?.sizes);
      if (opCase.expected === undefined) {
        const expected = differences(forward, opCase, seed, index);
        assertAllClose(actual.data, expected, DIFFERENCE_TOLERANCE, `gradient by x${index}`);
      } else if (index === 0) {
        assertAllClose(actual.data, opCase.expected, { rtol: 0, atol: 0 }, "gradient by x0");
      }
    }
  });

  it(`${opCase.name}: onnxruntime agrees with the reference`, async () => {
    const actual = await runSession(graph, allFeeds);
    for (const [name, expected] of results) {
      const value = resultOf(actual, name);
      assert.deepEqual(value.shape, expected.shape, name);
      assertAllClose(asNumbers(value), expected.data, F32_TOLERANCE, name);
    }
  });
}

describe("gradient rules", () => {
  for (const opCase of [...elementwiseCases, ...structureCases, ...compoundCases])
    checkCase(opCase);
  after(() => {
    const missing = Object.keys(GRADIENT_RULES).filter((op) => !kindsSeen.has(op));
    assert.deepEqual(missing, [], "every operation occurs in a case");
  });
});
