import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { layerOf, toLayer } from "./hidden-states.js";
import type { LossDefinition } from "./loss-definition.js";
import type { ModelSizes } from "./model-sizes.js";
import { assertRelationHeads, relationKl } from "./relation-kl.js";

const options = z.strictObject({
  heads: z
    .int()
    .min(1)
    .default(8)
    .describe("A, relation heads: both widths are cut into so many, whatever attention has"),
  studentLayer: z.int().default(-1).describe("−1 is the last block's output, 0 the embedding's"),
  teacherLayer: z.int().default(-1).describe("the same of the teacher"),
  normalised: z
    .boolean()
    .default(true)
    .describe(
      "divide states by their root mean square first: a residual stream's size would make every relation certain",
    ),
});

type HiddenRelationOptions = z.output<typeof options>;

/** (1/A)·Σ_a KL(softmax(X_T·X_Tᵀ/√d)_t ‖ softmax(X_S·X_Sᵀ/√d)_t) over the response's positions, X a slice of width d of the hidden states:
 * how positions relate to each other, whatever the widths; nothing is learnt beside the student.
 * Source: Wang et al. 2021 (MiniLMv2, arXiv 2012.15828), who take queries, keys and values (`attention-relations`); here the
 * hidden states that they come from. */
export const hiddenRelations: LossDefinition<HiddenRelationOptions> = {
  name: "hidden-relations",
  summary: "KL of the relations between positions, from hidden states",
  source: "MiniLMv2, arXiv 2012.15828",
  options,
  requires: (chosen, sizes) => {
    const { student, teacher } = layersOf(chosen, sizes);
    const widths = { student: sizes.student.width, teacher: sizes.teacher.width };
    assertRelationHeads("hidden-relations", chosen.heads, widths);
    return {
      signal: { hiddenLayers: [teacher] },
      studentLayers: [student],
      keepsSequences: true,
    };
  },
  perToken: (ops, { studentLayers, teacher, places, sizes }, chosen) => {
    invariant(places !== undefined, "the loss is given the places of its positions");
    const layers = layersOf(chosen, sizes);
    const states = {
      teacher: layerOf(teacher.hidden, layers.teacher),
      student: layerOf(studentLayers, layers.student),
      sequence: places.sequence,
    };
    return relationKl(ops, states, chosen);
  },
};

function layersOf(
  { studentLayer, teacherLayer }: HiddenRelationOptions,
  { student, teacher }: ModelSizes,
): { readonly student: number; readonly teacher: number } {
  return {
    student: toLayer(studentLayer, student.layers, "student"),
    teacher: toLayer(teacherLayer, teacher.layers, "teacher"),
  };
}
