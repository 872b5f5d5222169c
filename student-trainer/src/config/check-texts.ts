import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { LossSet } from "../losses/loss-set.js";
import { scheduleMaximum, scheduleMinimum } from "../losses/schedule.js";
import { usesStudent, writingKinds, type RolloutConfig } from "../rollout/rollout-config.js";
import { stepsPerRound } from "../training/training-config.js";
import type { RunConfig } from "./run-config.js";

type Text = LossSet["texts"][number]["text"];
type Fail = (message: string) => never;

/** Refuses losses that are right only for text of another law than the one the run writes.
 * @throws TandemError INVALID_ARGUMENT naming the loss and what to change. */
export function checkTexts(config: RunConfig): void {
  for (const { field, name, text } of new LossSet(config.losses).texts) {
    checkText(config, text, (message) => {
      throw new TandemError("INVALID_ARGUMENT", `${field} (${name}) ${message}`, { field });
    });
  }
}

function checkText({ rollout, training }: RunConfig, text: Text, fail: Fail): void {
  if (text === "pairs") {
    checkPairs({ rollout, training }, fail);
  } else if (text === "student" || text === "current-student") {
    checkOwn(rollout, fail);
    if (text === "current-student") checkCurrent({ rollout, training }, fail);
  } else if ("labels" in text) {
    checkLabels(rollout, text.labels, fail);
  } else {
    checkMixture(rollout, text.mixture, fail);
  }
}

/** What the student wrote alone says nothing about what it should have written. */
function checkLabels(rollout: RolloutConfig, otherwise: string, fail: Fail): void {
  if (writingKinds(rollout).some((kind) => kind !== "on-policy")) return;
  fail(
    `takes the tokens of the text for labels, rollout.kind ${rollout.kind} has none but the student's own; ${otherwise}, take supervised, mixed or skd, or give other text as data.plainText`,
  );
}

/** Both responses to a prompt must be written, and be seen in one step. */
function checkPairs(
  { rollout, training }: Pick<RunConfig, "rollout" | "training">,
  fail: Fail,
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

/** The student's tokens must be draws of its law at temperature 1; whose the others are does not matter. */
function checkOwn(rollout: RolloutConfig, fail: Fail): void {
  checkFresh(rollout, fail);
  if (writingKinds(rollout).includes("skd") && !("mixture" in rollout.acceptance)) {
    fail(
      "weighs the student's tokens as draws of its law, and rollout.acceptance keeps them by what they are; set it to {mixture: m}, or rollout.kind to on-policy",
    );
  }
  checkPlainLaw(rollout, "studentSampling", fail);
}

/** A text must be used in one step, by the student that wrote it. */
function checkCurrent(
  { rollout, training }: Pick<RunConfig, "rollout" | "training">,
  fail: Fail,
): void {
  const { numIterations, minibatchSize, staleness } = training;
  if (stepsPerRound(training, rollout.rows) === 1 && staleness === 0) return;
  fail(
    `takes the student of the step for the one that wrote the text, which it is in a batch's first step only (training.numIterations ${numIterations}, training.minibatchSize ${minibatchSize} of rollout.rows ${rollout.rows}, training.staleness ${staleness}); set its ratio to old, or numIterations to 1, minibatchSize to rollout.rows and staleness to 0`,
  );
}

/** The text must be drawn from (1−m)·student + m·teacher, both at temperature 1. */
function checkMixture(rollout: RolloutConfig, mixture: number, fail: Fail): void {
  checkFresh(rollout, fail);
  if (writingKinds(rollout).includes("sequence")) {
    fail(
      "is right for the student's text, the teacher writes whole responses here; set rollout.otherwise to supervised",
    );
  }
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
  checkPlainLaw(rollout, "studentSampling", fail);
  if (mixture > 0) checkPlainLaw(rollout, "teacherSampling", fail);
}

/** The student writes, and what it wrote under older weights is not drawn again: the law that such a text came from is not known any more. */
function checkFresh(rollout: RolloutConfig, fail: Fail): void {
  if (!usesStudent(rollout)) {
    fail(
      `learns from text that the student writes, rollout.kind ${rollout.kind} has none; take on-policy or another loss`,
    );
  }
  if (rollout.kind === "adaptive") {
    fail(
      "weighs text by the law that it was drawn from, rollout.kind adaptive keeps a replay of older texts; take mixed or on-policy",
    );
  }
}

function checkPlainLaw(
  rollout: RolloutConfig,
  side: "studentSampling" | "teacherSampling",
  fail: Fail,
): void {
  const { temperature, topK, topP } = rollout[side];
  const plain = scheduleMinimum(temperature) === 1 && scheduleMaximum(temperature) === 1;
  if (plain && topK === 0 && topP === 1) return;
  fail(
    `weighs text by the models' plain laws; set rollout.${side} to {temperature: 1, topK: 0, topP: 1}`,
  );
}

/** The teacher's share in text that both write; undefined where it is no mixture, or moves. */
function mixtureOf(rollout: RolloutConfig): number | undefined {
  if (!writingKinds(rollout).includes("skd")) return 0;
  const { acceptance } = rollout;
  if (!("mixture" in acceptance)) return undefined;
  const share = scheduleMinimum(acceptance.mixture);
  return share === scheduleMaximum(acceptance.mixture) ? share : undefined;
}
