import type { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import type { HeadRequest, StepRow } from "@tandem/shared/inference/step.js";
import type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { signalOf } from "./tiny-models.js";

/** What a model says of all positions of one text, for each spec a row of the same step. */
export async function signalsOfSpecs(
  runner: ModelRunner,
  tokens: Uint32Array,
  specs: readonly Partial<SignalSpec>[],
  at: Pick<HeadRequest, "atIds" | "atOffsets"> = {},
): Promise<TeacherSignal[]> {
  const rows = specs.map((spec, cache): StepRow => ({
    cache,
    past: 0,
    tokens,
    maxLength: tokens.length,
    head: { first: 0, targets: tokens.slice(1), spec: signalOf(spec), ...at },
  }));
  const result = await runner.run({ release: rows.map(({ cache }) => cache), rows });
  return result.rows.map(({ signal }) => signal!);
}
