import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { evaluateLoss, lossRequirement } from "@tandem/student-trainer";
import type { SignalRequirement } from "@tandem/student-trainer/losses/signal-requirement.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { largeLogits } from "./large-logits.js";

/** Written by tests/peers/make_several_teacher_fixtures.py. */
interface Group {
  readonly vocabulary: number;
  readonly teachers: number;
  /** [row, id] that the second teacher gives no probability. */
  readonly impossible: readonly (readonly [number, number])[];
  readonly targets: readonly number[];
  readonly cases: readonly {
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    readonly value: readonly number[];
    /** Per row, some ids and the gradient there. */
    readonly ids: readonly (readonly number[])[];
    readonly gradient: readonly (readonly number[])[];
    /** Per row, Σ |gradient|. */
    readonly magnitude: readonly number[];
  }[];
}

const url = new URL("../../../fixtures/losses/several-teachers.json", import.meta.url);
const groups = JSON.parse(await readFile(fileURLToPath(url), "utf8")) as Group[];

for (const { vocabulary, impossible, cases, ...group } of groups) {
  const rows = group.targets.length;
  const targets = Uint32Array.from(group.targets);
  const student = largeLogits(0.5, { rows, vocabulary });
  const teachers = Array.from({ length: group.teachers }, (_, phase) =>
    largeLogits(phase, { rows, vocabulary }),
  );
  for (const [row, id] of impossible) teachers[1]![row * vocabulary + id] = -Infinity;
  /** Of all teachers; they take seconds where V is large. */
  const made = new Map<string, Readonly<Record<string, TeacherSignal>>>();
  const signalsFor = (requirement: SignalRequirement) => {
    const key = JSON.stringify(requirement);
    const own =
      made.get(key) ??
      Object.fromEntries(
        teachers.map((teacher, at) => {
          const known = { vocabulary, teacher, student, targets };
          return [`teacher-${at}`, signalOfLogits(known, requirement).signal];
        }),
      );
    made.set(key, own);
    return own;
  };

  describe(`several teachers and cross-entropy equal PyTorch in float64, V = ${vocabulary}`, () => {
    const large = vocabulary > 1000;
    // The reference goes element by element: the small vocabulary is enough.
    for (const { name, options, value, ids, gradient, magnitude } of cases) {
      for (const engine of vocabulary > 100
        ? (["onnx"] as const)
        : (["onnx", "reference"] as const)) {
        it(`${name} ${JSON.stringify(options)} on the ${engine} engine`, async () => {
          const named = teachers.map((_, at) => `teacher-${at}`);
          const asked = name === "cross-entropy" ? options : { ...options, teachers: named };
          const requirement = lossRequirement(name, asked);
          // All are asked for the same.
          const signals = signalsFor({ ...requirement, ...requirement.named?.["teacher-0"] });
          const { perToken, gradient: slopes } = await evaluateLoss({
            loss: name,
            options: asked,
            studentLogits: student,
            vocabulary,
            targets,
            ...(name !== "cross-entropy" && { signals }),
            engine,
          });
          // The gradient is that of the mean, the fixture's that of the sum.
          const found = ids.map((own, row) =>
            own.map((id) => rows * slopes[row * vocabulary + id]!),
          );
          const sums = magnitude.map(
            (_, row) =>
              rows *
              slopes
                .subarray(row * vocabulary, (row + 1) * vocabulary)
                .reduce((sum, x) => sum + Math.abs(x), 0),
          );
          // Signals are float32, and so is the engine that trains; sums of 49,152 terms: large-vocabulary.test.ts.
          const near = engine === "onnx" ? { rtol: 1e-4, atol: 5e-5 } : { rtol: 1e-5, atol: 3e-6 };
          assertAllClose(perToken, value, near, "value");
          const steep = large ? { rtol: 2e-3, atol: 2e-6 } : near;
          assertAllClose(found.flat(), gradient.flat(), steep, "gradient");
          assertAllClose(sums, magnitude, { rtol: 1e-3, atol: 1e-5 }, "Σ|gradient|");
        });
      }
    }
  });
}
