import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

/** How far both sides' best ids agree, by the length k of the lists that are compared.
 * Source: Peng & Zhang 2024 (RLKD, arXiv 2409.12545) §4: CR@k and MOR@k. */
export interface Consistency {
  /** CR@k: fraction of positions at which both best k ids are the same in the same order. */
  readonly consistencyAt1: number;
  readonly consistencyAt2: number;
  readonly consistencyAt3: number;
  readonly consistencyAt5: number;
  /** MOR@k: mean of |both best k ids' intersection| / k. */
  readonly overlapAt3: number;
  readonly overlapAt5: number;
  readonly overlapAt10: number;
}

/** k of the longest lists; a smaller vocabulary has shorter ones. */
export const LONGEST_COMPARED = 10;

/** Of one position: row r of the teacher's signal and of the student's, which holds its own best ids. */
export function consistencyOfRow(
  teacher: TeacherSignal,
  student: TeacherSignal,
  r: number,
): Consistency {
  const best = ({ topIds, topK }: TeacherSignal, k: number) =>
    Array.from(topIds?.subarray(r * topK, r * topK + Math.min(k, topK)) ?? []);
  const same = (k: number): number => {
    const own = best(student, k);
    return best(teacher, k).every((id, place) => id === own[place]) ? 1 : 0;
  };
  const overlap = (k: number): number => {
    const own = new Set(best(student, k));
    return best(teacher, k).filter((id) => own.has(id)).length / Math.max(1, own.size);
  };
  return {
    consistencyAt1: same(1),
    consistencyAt2: same(2),
    consistencyAt3: same(3),
    consistencyAt5: same(5),
    overlapAt3: overlap(3),
    overlapAt5: overlap(5),
    overlapAt10: overlap(10),
  };
}

/** 0 of no positions. */
export function meanConsistency(each: readonly Consistency[]): Consistency {
  const mean = (key: keyof Consistency) =>
    each.length === 0 ? 0 : each.reduce((sum, own) => sum + own[key], 0) / each.length;
  return {
    consistencyAt1: mean("consistencyAt1"),
    consistencyAt2: mean("consistencyAt2"),
    consistencyAt3: mean("consistencyAt3"),
    consistencyAt5: mean("consistencyAt5"),
    overlapAt3: mean("overlapAt3"),
    overlapAt5: mean("overlapAt5"),
    overlapAt10: mean("overlapAt10"),
  };
}
