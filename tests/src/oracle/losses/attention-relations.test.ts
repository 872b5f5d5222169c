import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { evaluateLoss, lossRequirement } from "@tandem/student-trainer";
import { stateNumber, type StateKind } from "@tandem/shared/wire/state-number.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { randomLogits } from "./method-rows.js";

type Kind = Exclude<StateKind, "stream">;
type States = Readonly<Record<Kind, readonly (readonly number[])[]>>;

/** Written by tests/peers/make_relation_fixtures.py. */
interface RelationFixture {
  readonly states: { readonly student: States; readonly teacher: States };
  readonly cases: readonly {
    readonly options: Readonly<Record<string, unknown>>;
    readonly value: readonly number[];
    readonly gradient: Partial<States>;
  }[];
}

const url = new URL("../../../fixtures/losses/attention-relations.json", import.meta.url);
const fixture = JSON.parse(await readFile(fileURLToPath(url), "utf8")) as RelationFixture;
const [rows, vocabulary] = [5, 3];
/** The student's second block is compared with the teacher's third. */
const sizes = {
  student: { layers: 2, width: 20, queryWidth: 16, keyWidth: 8 },
  teacher: { layers: 3, width: 30, queryWidth: 24, keyWidth: 12 },
};
const byNumber = (states: States, layer: number) =>
  Object.entries(states).map(
    ([kind, own]) =>
      [stateNumber({ kind: kind as Kind, layer }), Float64Array.from(own.flat())] as const,
  );
const studentStates = Object.fromEntries(byNumber(fixture.states.student, 2));

function evaluate(
  options: Readonly<Record<string, unknown>>,
  engine: "onnx" | "reference",
  studentLayers: Readonly<Record<number, Float64Array>> = studentStates,
) {
  const hidden = byNumber(fixture.states.teacher, 3).map(
    ([number, own]) => [number, Float32Array.from(own)] as const,
  );
  return evaluateLoss({
    loss: "attention-relations",
    options,
    studentLogits: randomLogits(1, rows * vocabulary, 1),
    vocabulary,
    targets: new Uint32Array(rows),
    signal: { from: 1, count: rows, topK: 0, tauCount: 0, hidden: new Map(hidden) },
    sizes,
    studentLayers,
    engine,
  });
}

describe("relations among queries, keys and values", () => {
  for (const { options, value, gradient } of fixture.cases) {
    for (const engine of ["onnx", "reference"] as const) {
      it(`equal PyTorch on the ${engine} engine: ${JSON.stringify(options)}`, async () => {
        const { perToken, layerGradients } = await evaluate(options, engine);
        // Float32 on the engine that trains; on the reference 1/√d alone, a constant of the graph.
        const tolerance =
          engine === "onnx" ? { rtol: 1e-4, atol: 1e-5 } : { rtol: 1e-6, atol: 1e-7 };
        assertAllClose(perToken, value, tolerance, "value");
        const numbers = Object.keys(gradient).map((kind) =>
          stateNumber({ kind: kind as Kind, layer: 2 }),
        );
        assert.deepEqual(Object.keys(layerGradients).map(Number), numbers);
        Object.values(gradient).forEach((own, at) => {
          const summed = layerGradients[numbers[at]!]!.map((x) => x * rows);
          assertAllClose(summed, own!.flat(), tolerance, `gradient of ${numbers[at]}`);
        });
      });
    }

    it(`have the gradient of their value: ${JSON.stringify(options)}`, async () => {
      const step = 1e-5;
      const { layerGradients } = await evaluate(options, "reference");
      for (const [number, own] of Object.entries(layerGradients)) {
        const direction = randomLogits(78, own.length, 1);
        const moved = async (by: number) => {
          const state = studentStates[Number(number)]!.map((x, at) => x + by * direction[at]!);
          return (await evaluate(options, "reference", { ...studentStates, [number]: state }))
            .value;
        };
        const slope = ((await moved(step)) - (await moved(-step))) / (2 * step);
        const along = own.reduce((sum, x, at) => sum + x * direction[at]!, 0);
        assertAllClose([along], [slope], { rtol: 1e-6, atol: 1e-8 }, number);
      }
    });
  }

  it("ask for the projections of one block and nothing else", () => {
    const all = { ...sizes, vocabulary };
    const { spec, hiddenWidths } = lossRequirement("attention-relations", { heads: 4 }, 0, all);
    assert.deepEqual(spec.hiddenLayers, [65_539, 131_075, 196_611]);
    assert.deepEqual(hiddenWidths, [24, 12, 12]);
  });

  it("refuse heads that do not divide both widths, and the embedding", () => {
    const all = { ...sizes, vocabulary };
    assert.throws(() => lossRequirement("attention-relations", { heads: 3 }, 0, all), {
      code: "INVALID_ARGUMENT",
      message: /widths 16 \(student\) and 24 \(teacher\) into 3 heads; choose a divisor of both/,
    });
    assert.throws(
      () => lossRequirement("attention-relations", { heads: 4, teacherLayer: 0 }, 0, all),
      { code: "INVALID_ARGUMENT", message: /a block of the teacher, 1 to 3/ },
    );
  });
});
