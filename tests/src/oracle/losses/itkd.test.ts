import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { evaluateLoss, lossRequirement } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { largeLogits } from "./large-logits.js";

/** Written by tests/peers/make_itkd_fixtures.py. */
interface ItkdCase {
  readonly vocabulary: number;
  readonly options: Readonly<Record<string, unknown>>;
  readonly progress: number;
  readonly value: readonly number[];
  /** [n,V]; where both sides compute the logits themselves, at `ids`. */
  readonly gradient: readonly (readonly number[])[];
  readonly ids?: readonly (readonly number[])[];
  /** [n,V]; null: −∞. */
  readonly student?: readonly (readonly number[])[];
  readonly teacher?: readonly (readonly (number | null)[])[];
}

const url = new URL("../../../fixtures/losses/itkd.json", import.meta.url);
const cases = JSON.parse(await readFile(fileURLToPath(url), "utf8")) as ItkdCase[];

function evaluate(own: ItkdCase, engine: "onnx" | "reference") {
  const { vocabulary, options, progress } = own;
  const rows = own.value.length;
  const targets = new Uint32Array(rows);
  const student = own.student
    ? Float32Array.from(own.student.flat())
    : largeLogits(0.5, { rows, vocabulary });
  const teacher = own.teacher
    ? Float32Array.from(own.teacher.flat(), (x) => x ?? -Infinity)
    : largeLogits(0, { rows, vocabulary });
  const requirement = lossRequirement("itkd", options);
  return evaluateLoss({
    loss: "itkd",
    options,
    studentLogits: student,
    vocabulary,
    targets,
    ...signalOfLogits({ vocabulary, teacher, student, targets }, requirement),
    progress,
    engine,
  });
}

describe("instance-temperature KD equals PyTorch in float64", () => {
  for (const own of cases) {
    const { vocabulary } = own;
    for (const engine of vocabulary > 1000
      ? (["onnx"] as const)
      : (["onnx", "reference"] as const)) {
      it(`at V = ${vocabulary} on the ${engine} engine`, async () => {
        const { perToken, gradient } = await evaluate(own, engine);
        const rows = own.value.length;
        const ids =
          own.ids ?? own.value.map(() => Array.from({ length: vocabulary }, (_, id) => id));
        const found = ids.flatMap((list, row) =>
          list.map((id) => rows * gradient[row * vocabulary + id]!),
        );
        // Temperatures, which depend on float32 signals, and sums of V terms; the engine that trains computes in float32.
        const tolerance =
          engine === "reference" ? { rtol: 5e-6, atol: 1e-6 } : { rtol: 2e-4, atol: 2e-5 };
        assertAllClose(perToken, own.value, tolerance, "value");
        assertAllClose(found, own.gradient.flat(), tolerance, "gradient");
      });
    }
  }
});
