import type { RunConfig } from "../config/run-config.js";
import type { DataRow } from "../data/dataset.js";
import { createRolloutSource } from "../rollout/rollout-source.js";
import type { StudentEngine } from "../rollout/student-engine.js";
import type { TeacherPool } from "../rollout/teacher-pool.js";
import type { RolloutSource } from "../training/rollout-source.js";
import type { OpenStudent } from "./open-student.js";

export interface SourceParts {
  readonly config: RunConfig;
  readonly student: OpenStudent;
  readonly rows: readonly DataRow[];
  readonly engine: StudentEngine;
  readonly teachers: TeacherPool;
}

/** The source of a run's text, as its configuration says. */
export function openSource({
  config,
  student,
  rows,
  engine,
  teachers,
}: SourceParts): RolloutSource {
  return createRolloutSource({
    config: config.rollout,
    rows,
    shuffle: config.data.shuffle,
    runSeed: config.training.seed,
    stopIds: student.stopIds,
    engine,
    teachers,
  });
}
