import { invariant } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { z } from "zod";
import { layerOf, meanOf, projectionParameter, squaredError } from "./hidden-states.js";
import type { LossDefinition } from "./loss-definition.js";
import type { ModelSizes } from "./model-sizes.js";

const options = z.strictObject({
  mapping: z
    .enum(["one-based", "zero-based"])
    .default("one-based")
    .describe(
      "how layers are counted in ⌊i·L_T/L_S⌋: one-based as the formula (last to last), zero-based as the re-implementation's code",
    ),
  projection: z
    .enum(["shared", "per-layer"])
    .default("shared")
    .describe("shared: one W for all layers, as described; per-layer: one each"),
});

type KdNasOptions = z.output<typeof options>;

/** (1/L_S)·Σ_i MSE(W·h^S_i, [h^T_⌊i·L_T/L_S⌋ ; h^T_{L_T−L_S+i}]): each layer of the student regresses one of the teacher's by an even spread
 * and one of its last. W is learnt with the student and thrown away.
 * Source: KD-NAS (arXiv 2303.09639), by its public re-implementation (mapping "Uniform + Last"); the paper's body was not available. */
export const kdNas: LossDefinition<KdNasOptions> = {
  name: "kd-nas",
  summary: "squared error of every layer to two of the teacher's, through a learnt map",
  source: "KD-NAS, arXiv 2303.09639",
  options,
  requires: (chosen, sizes) => ({
    signal: { hiddenLayers: [...new Set(targetsOf(chosen, sizes).flat())] },
    studentLayers: Array.from({ length: sizes.student.layers }, (_, at) => at + 1),
  }),
  parameters: ({ projection }, { student, teacher }) => {
    const count = projection === "shared" ? 1 : student.layers;
    const one = projectionParameter(student.width, 2 * teacher.width);
    return Object.fromEntries(
      Array.from({ length: count }, (_, at) => [`projection.${at}`, one] as const),
    );
  },
  perToken: (ops, { studentLayers, teacher, parameters, sizes }, chosen) => {
    const errors = targetsOf(chosen, sizes).map((pair, at) => {
      const weight = parameters[`projection.${chosen.projection === "shared" ? 0 : at}`];
      invariant(weight !== undefined, "the loss is given its projection");
      const target = ops.concat(
        pair.map((layer) => layerOf(teacher.hidden, layer)),
        1,
      ); // [n,2·D_T]
      return squaredError(ops, ops.matmul(layerOf(studentLayers, at + 1), weight), target);
    });
    return meanOf(ops, errors);
  },
};

/** For each layer 1 … L_S of the student the teacher's two.
 * @throws TandemError INVALID_ARGUMENT when the teacher has fewer layers than the student. */
function targetsOf(
  { mapping }: KdNasOptions,
  { student, teacher }: ModelSizes,
): readonly (readonly [number, number])[] {
  if (teacher.layers < student.layers) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `kd-nas maps ${student.layers} layers of the student onto ${teacher.layers} of the teacher; the teacher needs at least as many (hidden-states compares chosen pairs)`,
      { field: "losses" },
    );
  }
  const ratio = teacher.layers / student.layers;
  return Array.from({ length: student.layers }, (_, at) => {
    // Counted from 0 a block's output is the hidden state one further.
    const spread =
      mapping === "one-based" ? Math.floor((at + 1) * ratio) : Math.floor(at * ratio) + 1;
    return [spread, teacher.layers - student.layers + at + 1];
  });
}
