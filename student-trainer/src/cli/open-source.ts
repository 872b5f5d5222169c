import type { RunConfig } from "../config/run-config.js";
import type { DataRow } from "../data/dataset.js";
import { createRolloutSource } from "../rollout/rollout-source.js";
import type { StudentEngine } from "../rollout/student-engine.js";
import type { TeacherClient } from "../teacher/teacher-client.js";
import type { RolloutSource } from "../training/rollout-source.js";
import type { OpenStudent } from "./open-student.js";

/** The part of the teacher's client that rollouts use. */
export type RolloutTeacher = Pick<TeacherClient, "score" | "openSequence" | "generate">;

export interface SourceParts {
  readonly config: RunConfig;
  readonly student: OpenStudent;
  readonly rows: readonly DataRow[];
  readonly engine: StudentEngine;
  readonly teacher: RolloutTeacher | undefined;
}

/** The source of a run's text, as its configuration says. */
export function openSource({ config, student, rows, engine, teacher }: SourceParts): RolloutSource {
  return createRolloutSource({
    config: config.rollout,
    rows,
    shuffle: config.data.shuffle,
    runSeed: config.training.seed,
    stopIds: student.stopIds,
    engine,
    ...(teacher === undefined ? {} : { teacher }),
  });
}
