import { invariant } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { stateNumber, stateWidth } from "@tandem/shared/wire/state-number.js";
import { z } from "zod";
import { layerOf, toLayer } from "./hidden-states.js";
import type { LossDefinition } from "./loss-definition.js";
import type { ModelSize, ModelSizes } from "./model-sizes.js";
import { assertRelationHeads, relationKl } from "./relation-kl.js";

const options = z.strictObject({
  heads: z
    .int()
    .min(1)
    .default(8)
    .describe(
      "A, relation heads: all heads of attention side by side are cut into so many, on both sides",
    ),
  studentLayer: z
    .int()
    .default(-1)
    .describe("block whose projections are compared, from 1; −1 the last"),
  teacherLayer: z.int().default(-1).describe("the same of the teacher"),
  relations: z
    .array(z.enum(["queries", "keys", "values"]))
    .min(1)
    .refine((kinds) => new Set(kinds).size === kinds.length, "names one twice")
    .default(["queries", "keys", "values"])
    .describe("what is related, each with itself"),
  normalised: z
    .boolean()
    .default(false)
    .describe("divide vectors by their root mean square first; the paper does not"),
});

type AttentionRelationOptions = z.output<typeof options>;

/** Σ_X (1/A)·Σ_a KL(softmax(X_T·X_Tᵀ/√d)_t ‖ softmax(X_S·X_Sᵀ/√d)_t) over the response's positions, X the queries, keys and values of one block on each side,
 * cut into A relation heads: number of heads and widths may differ, nothing is learnt beside the student.
 * Source: Wang et al. 2021 (MiniLMv2, arXiv 2012.15828), eq. 5 to 8. Queries and keys are taken before rotation, which their encoders do not have. */
export const attentionRelations: LossDefinition<AttentionRelationOptions> = {
  name: "attention-relations",
  summary: "KL of the relations between positions among queries, keys and values of a block",
  source: "MiniLMv2, arXiv 2012.15828",
  options,
  requires: (chosen, sizes) => {
    const pairs = pairsOf(chosen, sizes);
    for (const { student, teacher } of pairs) {
      const widths = {
        student: stateWidth(student, sizes.student),
        teacher: stateWidth(teacher, sizes.teacher),
      };
      assertRelationHeads("attention-relations", chosen.heads, widths);
    }
    return {
      signal: { hiddenLayers: pairs.map(({ teacher }) => teacher) },
      studentLayers: pairs.map(({ student }) => student),
      keepsSequences: true,
    };
  },
  perToken: (ops, { studentLayers, teacher, places, sizes }, chosen) => {
    invariant(places !== undefined, "the loss is given the places of its positions");
    return pairsOf(chosen, sizes)
      .map((numbers) => ({
        teacher: layerOf(teacher.hidden, numbers.teacher),
        student: layerOf(studentLayers, numbers.student),
        sequence: places.sequence,
      }))
      .map((states) => relationKl(ops, states, chosen))
      .reduce((sum, own) => ops.add(sum, own));
  },
};

/** Numbers of the states that are compared. */
function pairsOf(
  { studentLayer, teacherLayer, relations }: AttentionRelationOptions,
  { student, teacher }: ModelSizes,
): readonly { readonly student: number; readonly teacher: number }[] {
  const own = toBlock(studentLayer, student, "student");
  const other = toBlock(teacherLayer, teacher, "teacher");
  return relations.map((kind) => ({
    student: stateNumber({ kind, layer: own }),
    teacher: stateNumber({ kind, layer: other }),
  }));
}

/** @throws TandemError INVALID_ARGUMENT for the embedding, which projects nothing, and blocks that are not there. */
function toBlock(index: number, { layers }: ModelSize, whose: "student" | "teacher"): number {
  const layer = toLayer(index, layers, whose);
  if (layer > 0) return layer;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `attention-relations compares projections of a block of the ${whose}, 1 to ${layers}; layer ${index} is the embedding`,
    { field: "losses", limit: layers },
  );
}
