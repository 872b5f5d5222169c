import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { distilsPlainText } from "../data/plain-text-config.js";
import { LossSet } from "../losses/loss-set.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import { scheduleMaximum } from "../losses/schedule.js";
import { writesWithTeacher } from "../rollout/rollout-config.js";
import { checkRollout } from "./check-rollout.js";
import { checkTexts } from "./check-texts.js";
import type { RunConfig } from "./run-config.js";
import { teachersInUse, type Purpose } from "./teachers-in-use.js";

/** Refuses combinations that cannot work, before anything is loaded.
 * @throws TandemError INVALID_ARGUMENT with the reason. */
export function checkConfig(config: RunConfig, purpose: Purpose): void {
  const { rollout, data, evaluation } = config;
  const used = teachersInUse(config, purpose);
  checkTexts(config);
  if (rollout.rows % rollout.samplesPerPrompt !== 0) {
    throw invalid(
      "rollout.rows",
      `rollout.rows ${rollout.rows} is not a multiple of rollout.samplesPerPrompt ${rollout.samplesPerPrompt}: a prompt's samples belong to one batch`,
    );
  }
  if (rollout.kind === "supervised" && rollout.samplesPerPrompt > 1) {
    throw invalid(
      "rollout.samplesPerPrompt",
      "supervised data has one answer per prompt; set rollout.samplesPerPrompt to 1",
    );
  }
  checkTranslation(config, used);
  checkRollout(config);
  checkWeights(config);
  checkMixtures(config);
  if (evaluation.extract !== undefined) checkExtractor(evaluation.extract);
  if (data.teacherSystem !== undefined && data.messages === undefined && !data.chat) {
    throw invalid(
      "data.teacherSystem",
      "data.teacherSystem is a message of a chat; set data.chat or data.messages, or write it into the field of data.teacherPrompt",
    );
  }
  if (data.messages !== undefined && data.chat) {
    throw invalid("data.chat", "data.messages are chats already; leave data.chat out");
  }
}

/** A teacher with another tokenizer scores texts, and prompts are made for one teacher. */
function checkTranslation(config: RunConfig, used: readonly TeacherName[]): void {
  const { rollout, evaluation, teacher, teachers, data } = config;
  const translated = used.filter(
    (name) => (name === undefined ? teacher : teachers[name])?.tokenizer !== undefined,
  );
  if (translated.length === 0) return;
  const field =
    translated[0] === undefined ? "teacher.tokenizer" : `teachers.${translated[0]}.tokenizer`;
  if (used.length > 1) {
    throw invalid(field, `${field}: a teacher with another tokenizer must be the run's only one`);
  }
  if (writesWithTeacher(rollout)) {
    throw invalid(
      "rollout.kind",
      `rollout.kind ${rollout.kind} writes with the teacher, whose tokenizer is another one (${field}); take supervised or on-policy`,
    );
  }
  if (distilsPlainText(data.plainText)) {
    throw invalid(
      "data.plainText.distillation.share",
      `data.plainText.distillation compares laws over one vocabulary, the teacher has another (${field}); set its share to 0`,
    );
  }
  if (evaluation.teacherRows > 0) {
    throw invalid(
      "evaluation.teacherRows",
      `evaluation.teacherRows compares laws over one vocabulary, the teacher has another (${field}); set it to 0`,
    );
  }
}

/** A run whose losses all weigh nothing would train on nothing. */
function checkWeights({ losses }: RunConfig): void {
  const idle = losses.every(({ weight }) => scheduleMaximum(weight) === 0);
  if (idle) throw invalid("losses", "every loss has weight 0: nothing would be learnt");
}

/** Of one teacher such a loss would be forward KL under another name. */
function checkMixtures({ losses, teachers }: RunConfig): void {
  const [lonely] = new LossSet(losses).withoutMixture;
  if (lonely === undefined) return;
  const known = Object.keys(teachers).join(", ") || "none yet";
  throw invalid(
    `${lonely.field}.teachers`,
    `${lonely.field}.teachers: ${lonely.name} is made for the signals of several teachers and has one; name at least two of teachers: (${known}) there, or take forward-kl`,
  );
}

function checkExtractor(extract: string): void {
  let groups: number;
  try {
    groups = (new RegExp(`${extract}|`).exec("")?.length ?? 1) - 1;
  } catch (cause) {
    throw invalid("evaluation.extract", `not a regular expression: ${String(cause)}`);
  }
  if (groups < 1) {
    throw invalid("evaluation.extract", `${extract} has no group; put the answer in parentheses`);
  }
}

function invalid(field: string, message: string): TandemError {
  return new TandemError("INVALID_ARGUMENT", message, { field });
}
