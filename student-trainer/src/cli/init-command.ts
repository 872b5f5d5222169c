import { basename, dirname } from "node:path";

import type { ModelConfig } from "@tandem/shared/checkpoint/model-config.js";
import {
  MAX_CONFIG_BYTES,
  parseModelConfig,
} from "@tandem/shared/checkpoint/parse-model-config.js";
import { resolveModel } from "@tandem/shared/checkpoint/resolve-model.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { readModelJson } from "@tandem/shared/files/model-file.js";
import { countParameters } from "@tandem/shared/models/parameters.js";
import { Command } from "commander";

import { exportModel } from "../checkpoint/export-model.js";
import { initFromScratch, initFromTeacher } from "../checkpoint/init-student.js";
import type { StudentModel } from "../checkpoint/student-model.js";
import { assertApart } from "./assert-apart.js";
import { loadTokenizerFor } from "./open-student.js";
import { wholeNumber, wholeNumbers } from "./parse-flag.js";
import { asUsage } from "./usage-error.js";

const EXAMPLES = `
Examples:
  student-trainer init --from TEACHER --layers 0,2,4 --out student       some of the teacher's layers
  student-trainer init --model-config config.json --tokenizer TEACHER --seed 1 --out student`;

interface Flags {
  readonly from?: string;
  readonly layers?: readonly number[];
  readonly modelConfig?: string;
  readonly tokenizer?: string;
  readonly seed: number;
  readonly out: string;
}

export function createInitCommand(): Command {
  return new Command("init")
    .description("Make a student: some layers of a teacher, or random weights from a config.json")
    .option("--from <dir>", "teacher whose layers, embedding and tokenizer are taken")
    .option("--layers <list>", "which layers, in order: 0,2,4", wholeNumbers)
    .option("--model-config <file>", "config.json of a student from scratch")
    .option("--tokenizer <dir>", "whose tokenizer a student from scratch gets")
    .option("--seed <n>", "of random weights", wholeNumber(0), 0)
    .requiredOption("--out <dir>", "where to write the Hugging Face directory")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags) => {
      const { model, tokenizerDir } = await makeModel(flags);
      await loadTokenizerFor(model.config, tokenizerDir);
      await exportModel({ model, outDir: flags.out, tokenizerDir });
      const millions = (countParameters(model.config) / 1e6).toFixed(2);
      process.stdout.write(
        `${flags.out}: ${model.config.layers} layers, ${millions} M parameters\n`,
      );
    });
}

async function makeModel(
  flags: Flags,
): Promise<{ readonly model: StudentModel; readonly tokenizerDir: string }> {
  const { from, layers, modelConfig, tokenizer, out } = flags;
  if (from !== undefined && layers !== undefined && modelConfig === undefined) {
    const dir = await resolveModel(from, { env: process.env });
    const tokenizerDir =
      tokenizer === undefined ? dir : await resolveModel(tokenizer, { env: process.env });
    await assertApart(out, [dir, tokenizerDir]);
    return { model: await initFromTeacher(dir, layers), tokenizerDir };
  }
  if (modelConfig !== undefined && tokenizer !== undefined && from === undefined) {
    const dir = await resolveModel(tokenizer, { env: process.env });
    await assertApart(out, [dir]);
    return {
      model: initFromScratch(await readStudentConfig(modelConfig), flags.seed),
      tokenizerDir: dir,
    };
  }
  return asUsage(() => {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "give either --from and --layers, or --model-config and --tokenizer",
    );
  });
}

async function readStudentConfig(path: string): Promise<ModelConfig> {
  const json = await readModelJson(dirname(path), basename(path), MAX_CONFIG_BYTES);
  if (json !== undefined) return parseModelConfig(json);
  throw new TandemError("NOT_FOUND", `--model-config ${path} does not exist`, {
    field: "model-config",
  });
}
