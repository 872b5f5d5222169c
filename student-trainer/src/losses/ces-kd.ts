import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { klFromTeacher } from "./atoms.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import { scheduleAt, scheduleSchema } from "./schedule.js";
import { lawsOfTeacher } from "./teacher-mixture.js";

const options = z.strictObject({
  topK: z.int().min(1).default(64).describe("size of each teacher's top list"),
  dense: z.boolean().default(false).describe("all V logits of each teacher"),
  shift: scheduleSchema
    .default({ kind: "linear", from: -0.5, to: 0.5, start: 0, end: 1 })
    .describe(
      "added to a sequence's difficulty (0 … 1): below 0 smaller teachers, above 0 larger ones; a number or a schedule",
    ),
});

/** KL(p_c‖q), c one teacher for each sequence: the teachers, listed from the smallest to the largest, share the sequences of a minibatch by
 * difficulty, the student's mean cross-entropy before the step as a rank among them; the schedule moves all towards larger teachers.
 * Source: CES-KD (arXiv 2209.07606), abstract: teacher assistants of rising capacity, one chosen for each sample by a curriculum of
 * difficulty. Measure and schedule are our reading. */
export const cesKd: LossDefinition<z.output<typeof options>> = {
  name: "ces-kd",
  summary: "forward KL to one of several teachers, chosen for each sequence by its difficulty",
  source: "CES-KD, arXiv 2209.07606 (abstract)",
  options,
  teachers: "several",
  requires: ({ topK, dense }) => ({ signal: dense ? { dense: "f32" } : { topK } }),
  probe: (ops, { logits, targets }) => {
    const own = ops.squeeze(ops.takeAlongAxis(logits, ops.unsqueeze(targets, 1), 1), 1);
    return ops.sub(ops.logSumExp(logits, 1), own);
  },
  columns: {
    names: ["chosen"],
    compute: (positions, { shift }, progress) => [
      chooseTeachers(positions, scheduleAt(shift, progress)),
    ],
  },
  measures: {
    names: ["teacher"],
    compute: (_, { columns }) => [columns["chosen"]!],
  },
  perToken: (ops, inputs, chosen) => {
    const { chosen: teacherOf } = inputs.columns;
    invariant(teacherOf !== undefined, "the loss is given its column");
    const terms = inputs.teachers.map((teacher, at) => {
      const isChosen = ops.cast(ops.equal(teacherOf, ops.scalar(at)), "f32");
      return ops.mul(isChosen, klFromTeacher(ops, lawsOfTeacher(ops, inputs, teacher, chosen)));
    });
    return terms.reduce((sum, term) => ops.add(sum, term));
  },
};

/** Number of the teacher of each position. */
function chooseTeachers(positions: readonly MinibatchPosition[], shift: number): Float32Array {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const { sequence, probe } of positions) {
    const own = sums.get(sequence) ?? { sum: 0, count: 0 };
    sums.set(sequence, { sum: own.sum + probe, count: own.count + 1 });
  }
  const easiestFirst = [...sums].sort(([, a], [, b]) => a.sum / a.count - b.sum / b.count);
  const teachers = positions[0]?.signals.length ?? 1;
  const choice = new Map(
    easiestFirst.map(([sequence], rank) => {
      const difficulty = (rank + 0.5) / easiestFirst.length + shift;
      return [sequence, Math.min(teachers - 1, Math.max(0, Math.floor(difficulty * teachers)))];
    }),
  );
  return Float32Array.from(positions, ({ sequence }) => choice.get(sequence)!);
}
