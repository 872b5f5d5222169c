import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { LossSet } from "../losses/loss-set.js";
import { scheduleMaximum, scheduleMinimum } from "../losses/schedule.js";
import { writingKinds, type RolloutConfig } from "../rollout/rollout-config.js";
import type { RunConfig } from "./run-config.js";

/** Refuses losses that are right only for text of another law than the one the run writes.
 * @throws TandemError INVALID_ARGUMENT naming the loss and what to change. */
export function checkTexts({ losses, rollout, training }: RunConfig): void {
  const kinds = writingKinds(rollout);
  for (const { field, name, text } of new LossSet(losses).texts) {
    const fail = (message: string): never => {
      throw new TandemError("INVALID_ARGUMENT", `${field} (${name}) ${message}`, { field });
    };
    if (text === "pairs") {
      checkPairs({ rollout, training }, fail);
      continue;
    }
    if (typeof text === "object" && "labels" in text) {
      checkLabels(rollout, text.labels, fail);
      continue;
    }
    if (!kinds.some((kind) => kind === "on-policy" || kind === "skd")) {
      fail(
        `learns from text that the student writes, rollout.kind ${rollout.kind} has none; take on-policy or another loss`,
      );
    }
    if (text === "student") continue;
    if (kinds.includes("sequence")) {
      fail(
        "is right for the student's text, the teacher writes whole responses here; set rollout.otherwise to supervised",
      );
    }
    checkMixture(rollout, text.mixture, fail);
  }
}

/** What the student wrote alone says nothing about what it should have written. */
function checkLabels(
  rollout: RolloutConfig,
  otherwise: string,
  fail: (message: string) => never,
): void {
  if (writingKinds(rollout).some((kind) => kind !== "on-policy")) return;
  fail(
    `takes the tokens of the text for labels, rollout.kind ${rollout.kind} has none but the student's own; ${otherwise}, take supervised, mixed or skd, or give other text as data.plainText`,
  );
}

/** Both responses to a prompt must be written, and be seen in one step. */
function checkPairs(
  { rollout, training }: Pick<RunConfig, "rollout" | "training">,
  fail: (message: string) => never,
): void {
  if (rollout.kind !== "pairs") {
    fail(
      `compares another's response to a prompt with the student's, rollout.kind ${rollout.kind} writes no pairs; take pairs`,
    );
  }
  if (training.minibatchSize < rollout.rows) {
    fail(
      `needs both responses of a pair in one step, training.minibatchSize ${training.minibatchSize} splits the ${rollout.rows} of a batch; make it rollout.rows`,
    );
  }
}

/** The text must be drawn from (1−m)·student + m·teacher, both at temperature 1. */
function checkMixture(
  rollout: RolloutConfig,
  mixture: number,
  fail: (message: string) => never,
): void {
  const written = mixtureOf(rollout);
  if (written === undefined) {
    fail(
      "is right for text of the student or of the mixture; set rollout.kind to on-policy, or to skd with rollout.acceptance {mixture: m}",
    );
  }
  if (written !== mixture) {
    fail(
      `has mix ${mixture}, the text is written with ${written}; make mix and rollout.acceptance.mixture equal`,
    );
  }
  const { studentSampling, teacherSampling } = rollout;
  const sides = [
    ["studentSampling", studentSampling],
    ...(mixture > 0 ? [["teacherSampling", teacherSampling] as const] : []),
  ] as const;
  for (const [side, { temperature, topK, topP }] of sides) {
    const plain = scheduleMinimum(temperature) === 1 && scheduleMaximum(temperature) === 1;
    if (plain && topK === 0 && topP === 1) continue;
    fail(
      `weighs text by the models' plain laws; set rollout.${side} to {temperature: 1, topK: 0, topP: 1}`,
    );
  }
}

/** The teacher's share in text that both write; undefined where it is no mixture, or moves. */
function mixtureOf(rollout: RolloutConfig): number | undefined {
  if (!writingKinds(rollout).includes("skd")) return 0;
  const { acceptance } = rollout;
  if (!("mixture" in acceptance)) return undefined;
  const share = scheduleMinimum(acceptance.mixture);
  return share === scheduleMaximum(acceptance.mixture) ? share : undefined;
}
