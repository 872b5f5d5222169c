import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { evaluateLoss, lossRequirement } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { largeLogits } from "./large-logits.js";

/** Written by tests/peers/make_policy_gradient_fixtures.py. */
interface Group {
  readonly vocabulary: number;
  readonly targets: readonly number[];
  /** log q of each token when it was written. */
  readonly old: readonly number[];
  /** [n,V]; null: −∞; left out: `largeLogits`. */
  readonly student?: readonly (readonly number[])[];
  readonly teacher?: readonly (readonly (number | null)[])[];
  readonly cases: readonly {
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    readonly value: readonly number[];
    /** Per row, some ids and the gradient there. */
    readonly ids: readonly (readonly number[])[];
    readonly gradient: readonly (readonly number[])[];
  }[];
}

const url = new URL("../../../fixtures/losses/policy-gradients.json", import.meta.url);
const groups = JSON.parse(await readFile(fileURLToPath(url), "utf8")) as Group[];

for (const { vocabulary, targets: given, old, cases, ...laws } of groups) {
  const rows = given.length;
  const targets = Uint32Array.from(given);
  const student = laws.student
    ? Float32Array.from(laws.student.flat())
    : largeLogits(0.5, { rows, vocabulary });
  const teacher = laws.teacher
    ? Float32Array.from(laws.teacher.flat(), (x) => x ?? -Infinity)
    : largeLogits(0, { rows, vocabulary });

  describe(`policy gradients equal PyTorch in float64, V = ${vocabulary}`, () => {
    const engines = vocabulary > 1000 ? (["onnx"] as const) : (["onnx", "reference"] as const);
    for (const { name, options, value, ids, gradient } of cases) {
      for (const engine of engines) {
        it(`${name} ${JSON.stringify(options)} on the ${engine} engine`, async () => {
          const requirement = lossRequirement(name, options);
          const own = await evaluateLoss({
            loss: name,
            options,
            studentLogits: student,
            vocabulary,
            targets,
            ...signalOfLogits({ vocabulary, teacher, student, targets }, requirement),
            oldLogProbs: Float32Array.from(old),
            engine,
          });
          // The gradient is that of the mean.
          const found = ids.flatMap((list, row) =>
            list.map((id) => rows * own.gradient[row * vocabulary + id]!),
          );
          // Advantages are float32 in the graph, and so are signals; whitening divides their error by their spread.
          const tolerance =
            engine === "reference" ? { rtol: 1e-5, atol: 3e-6 } : { rtol: 2e-4, atol: 3e-5 };
          assertAllClose(own.perToken, value, tolerance, "value");
          assertAllClose(found, gradient.flat(), tolerance, "gradient");
        });
      }
    }
  });
}
