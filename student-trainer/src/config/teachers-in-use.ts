import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { distilsPlainText } from "../data/plain-text-config.js";
import { LossSet } from "../losses/loss-set.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import { writesWithTeacher } from "../rollout/rollout-config.js";
import type { RunConfig } from "./run-config.js";

/** A teacher that a run needs, and the option that asks for it. */
interface Need {
  readonly name: TeacherName;
  readonly field: string;
  readonly why: string;
}

/** What a configuration is read for: an evaluation asks no teacher to write or to judge a text that is trained on. */
export type Purpose = "training" | "evaluation";

/** The teachers a run, or an evaluation alone, talks to, each once; undefined is the one of `teacher:`.
 * @throws TandemError INVALID_ARGUMENT for one that is named but not configured, or none where one is needed. */
export function teachersInUse(
  config: RunConfig,
  purpose: Purpose = "training",
): readonly TeacherName[] {
  const evaluating = evaluationNeeds(config);
  const needs = purpose === "evaluation" ? evaluating : [...trainingNeeds(config), ...evaluating];
  for (const need of needs) assertConfigured(config, need);
  return [...new Set(needs.map(({ name }) => name))];
}

function evaluationNeeds({ evaluation }: RunConfig): Need[] {
  if (evaluation.teacherRows === 0) return [];
  const why = "evaluation.teacherRows asks one";
  return [{ name: evaluation.teacher, field: "evaluation.teacher", why }];
}

function trainingNeeds({ rollout, losses, data, teachers, teacher }: RunConfig): Need[] {
  const set = new LossSet(losses);
  // With tags any of them may be a row's.
  const tagged = data.teacher === undefined ? [] : Object.keys(teachers);
  const untagged = data.teacher === undefined || teacher.address !== undefined ? [undefined] : [];
  const ofRows = (why: string): Need[] =>
    [...untagged, ...tagged].map((name) => ({ name, field: "teacher.address", why }));
  const writes = writesWithTeacher(rollout);
  const writing = `rollout.kind ${rollout.kind} writes with a teacher`;
  return [
    ...(writes && rollout.teacher !== undefined
      ? [{ name: rollout.teacher, field: "rollout.teacher", why: writing }]
      : []),
    ...(writes && rollout.teacher === undefined ? ofRows(writing) : []),
    ...(set.needsRowTeacher ? ofRows("the losses need its signal") : []),
    ...losses.flatMap((loss, index) =>
      [loss.teacher ?? [], loss.teachers ?? []].flat().map((name) => ({
        name,
        field: `losses[${index}].teacher`,
        why: `loss ${loss.name} needs its signal`,
      })),
    ),
    ...(distilsPlainText(data.plainText)
      ? [
          {
            name: data.plainText.distillation.teacher,
            field: "data.plainText.distillation.teacher",
            why: "data.plainText.distillation.share gives one a share",
          },
        ]
      : []),
  ];
}

function assertConfigured({ teacher, teachers }: RunConfig, { name, field, why }: Need): void {
  const known = Object.keys(teachers);
  const others =
    known.length === 0 ? "" : `; set it, or name one of teachers: (${known.join(", ")})`;
  if (name === undefined) {
    if (teacher.address !== undefined) return;
    throw invalid("teacher.address", `no teacher.address is given, but ${why}${others}`);
  }
  if (!known.includes(name)) {
    throw invalid(
      field,
      `${field} names "${name}", which teachers: does not have (${known.join(", ") || "it is empty"}); add teachers.${name}.address`,
    );
  }
  if (teachers[name]?.address === undefined) {
    throw invalid(`teachers.${name}.address`, `teachers.${name} has no address, but ${why}`);
  }
}

function invalid(field: string, message: string): TandemError {
  return new TandemError("INVALID_ARGUMENT", message, { field });
}
