import { uniformAt } from "@tandem/shared/numeric/philox.js";
import { sampleRow } from "@tandem/shared/sampling/sample-row.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";

import { TOY_STOP, TOY_STUDENT, TOY_TEACHER, toyLogits } from "./toy-law.js";

export interface ToyOrder {
  readonly runSeed: number;
  readonly rngKey: number;
  readonly prompt: readonly number[];
  readonly maxResponse: number;
  readonly acceptRank: number;
  readonly student: SamplingParams;
  readonly teacher: SamplingParams;
}

/** SKD token by token, as the paper writes it (arXiv 2410.11325, algorithm 1): draw from the student, ask the teacher for the rank, replace or keep. */
export function interleaveOneByOne(order: ToyOrder): { tokens: number[]; authors: number[] } {
  const tokens: number[] = [];
  const authors: number[] = [];
  while (tokens.length < order.maxResponse && tokens.at(-1) !== TOY_STOP) {
    const context = [...order.prompt, ...tokens];
    const at = { runSeed: order.runSeed, rngKey: order.rngKey, position: tokens.length };
    const draft = sampleRow(
      toyLogits(context, TOY_STUDENT),
      order.student,
      uniformAt({ ...at, stream: "draft" }),
    );
    const teacher = toyLogits(context, TOY_TEACHER);
    const rank = teacher.filter((logit) => logit > (teacher[draft] as number)).length;
    const kept = rank < order.acceptRank;
    tokens.push(
      kept ? draft : sampleRow(teacher, order.teacher, uniformAt({ ...at, stream: "replacement" })),
    );
    authors.push(kept ? 0 : 1);
  }
  return { tokens, authors };
}
