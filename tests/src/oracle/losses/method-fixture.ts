/** The cases of tests/peers/make_loss_fixtures.py: every loss, value and gradient in float64 by PyTorch. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { evaluateLoss, lossRequirement, type LossValue } from "@tandem/student-trainer";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { readTensors } from "../../helpers/tiny-models.js";

export interface MethodCase {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Rows at which the loss has no derivative. */
  readonly kinks: readonly number[];
}

export interface MethodFixture {
  readonly vocabulary: number;
  readonly rows: number;
  readonly cases: readonly MethodCase[];
  readonly tensor: (name: string) => Float32Array;
}

export async function readMethodFixture(vocabulary: number): Promise<MethodFixture> {
  const path = (suffix: string) =>
    fileURLToPath(
      new URL(`../../../fixtures/losses/losses-${vocabulary}.${suffix}`, import.meta.url),
    );
  const tensors = await readTensors(path("safetensors"));
  const cases = JSON.parse(await readFile(path("json"), "utf8")) as MethodCase[];
  const tensor = (name: string) => tensors.get(name)!;
  return { vocabulary, rows: tensor("targets").length, cases, tensor };
}

/** A case through the public library, with the signal that the fixture's teacher would give. */
export function evaluateCase(
  { vocabulary, rows, tensor }: MethodFixture,
  { name, options }: MethodCase,
  engine: "onnx" | "reference",
): Promise<LossValue> {
  const requirement = lossRequirement(name, options);
  const targets = Uint32Array.from(tensor("targets"));
  const [ids, counts] = [tensor("draws.ids"), tensor("draws.counts")];
  const width = ids.length / rows;
  const draws = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: width }, (__, at) => ({
      id: ids[row * width + at]!,
      count: counts[row * width + at]!,
    })).filter(({ count }) => count > 0),
  );
  const known = {
    vocabulary,
    teacher: tensor("teacher"),
    student: tensor("student"),
    targets,
    draws,
  };
  return evaluateLoss({
    loss: name,
    options,
    studentLogits: tensor("student"),
    vocabulary,
    targets,
    ...signalOfLogits(known, requirement),
    byStudent: tensor("byStudent"),
    engine,
  });
}
