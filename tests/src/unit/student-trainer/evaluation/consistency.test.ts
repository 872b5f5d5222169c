import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  consistencyOfRow,
  meanConsistency,
} from "@tandem/student-trainer/evaluation/consistency.js";

const signal = (topK: number, ...topIds: number[]) => ({
  from: 1,
  count: topIds.length / topK,
  topK,
  tauCount: 0,
  topIds: Uint32Array.from(topIds),
});

describe("consistency", () => {
  it("compares ordered prefixes and unordered sets of both sides' best ids", () => {
    const teacher = signal(6, 9, 8, 7, 6, 5, 4);
    const student = signal(5, 9, 8, 6, 7, 1);
    // The same: {9}, {9, 8}; sets of 3: {9, 8} of 3; of 5: {9, 8, 7, 6} of 5; of 10: the student has 5, the teacher 6.
    assert.deepEqual(consistencyOfRow(teacher, student, 0), {
      consistencyAt1: 1,
      consistencyAt2: 1,
      consistencyAt3: 0,
      consistencyAt5: 0,
      overlapAt3: 2 / 3,
      overlapAt5: 4 / 5,
      overlapAt10: 4 / 5,
    });
  });

  it("reads its row and takes the mean", () => {
    const teacher = signal(2, 1, 2, 3, 4);
    const student = signal(2, 2, 1, 3, 4);
    const each = [0, 1].map((row) => consistencyOfRow(teacher, student, row));
    const mean = meanConsistency(each);
    assert.equal(mean.consistencyAt1, 0.5);
    assert.equal(mean.consistencyAt2, 0.5);
    assert.equal(mean.overlapAt3, 1);
    assert.equal(meanConsistency([]).overlapAt5, 0);
  });
});
