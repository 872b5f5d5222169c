import type { RunConfig } from "../config/run-config.js";
import { loadDataset, type Dataset } from "../data/dataset.js";
import { usesAnswers } from "../rollout/rollout-config.js";
import type { Translation } from "./open-translation.js";
import { promptRoom, type OpenStudent } from "./open-student.js";

/** The rows of `data.train` or `data.evaluation` in the student's tokens; none where no file is named. Only answers that are trained on are bounded
 * by `rollout.maxResponse`. */
export async function loadRows(
  config: RunConfig,
  student: OpenStudent,
  which: "train" | "evaluation",
  translation?: Translation,
): Promise<Dataset> {
  const files = config.data[which];
  if (files === undefined) return { rows: [], skipped: 0 };
  return loadDataset({
    files,
    config: config.data,
    codec: student.tokenizer,
    ...(translation && { teacherCodec: translation.tokenizer }),
    eosId: config.data.appendEos ? student.stopIds[0] : undefined,
    maxResponse:
      which === "train" && usesAnswers(config.rollout) ? config.rollout.maxResponse : Infinity,
    maxPrompt: promptRoom(config, student.config.contextLength),
    limit: which === "train" ? config.data.limit : undefined,
    teachers: Object.keys(config.teachers),
    needsNamedFields: which === "train",
  });
}
