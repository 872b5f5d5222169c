import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { Command } from "commander";

import { evaluateStudent, type Evaluation } from "../evaluation/evaluate-student.js";
import { readRunConfig, withConfigOptions, type ConfigFlags } from "./config-options.js";
import { onInterrupt } from "./interrupt.js";
import { newestModel } from "./newest-model.js";
import { loadRows } from "./load-rows.js";
import { openFileEngine, openStudent } from "./open-student.js";
import { closeTeachers, openTeachers } from "./open-teachers.js";
import { asUsage } from "./usage-error.js";

const EXAMPLES = `
Examples:
  student-trainer evaluate --config run.yaml                       the run's newest checkpoint
  student-trainer evaluate --config run.yaml --model student --set evaluation.rows=500
  student-trainer evaluate --config run.yaml --out answers.jsonl   every prompt, answer and verdict`;

interface Flags extends ConfigFlags {
  readonly model?: string;
  readonly out?: string;
}

export function createEvaluateCommand(): Command {
  return withConfigOptions(new Command("evaluate"))
    .description("Answer held-out rows greedily and compare with their references")
    .option("--model <dir>", "directory or hub id; default: the run's newest checkpoint")
    .option("--out <file>", "write every row as a JSON line")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: Flags) => {
      const { rows, measures } = await evaluate(flags);
      if (flags.out !== undefined) await writeRows(flags.out, rows);
      process.stdout.write(`${JSON.stringify(measures)}\n`);
    });
}

async function evaluate(flags: Flags): Promise<Evaluation> {
  const config = readRunConfig(flags, "evaluation");
  asUsage(() => {
    if (config.data.evaluation === undefined) {
      throw new TandemError("INVALID_ARGUMENT", "data.evaluation names no held-out rows", {
        field: "data.evaluation",
      });
    }
  });
  const student = await openStudent(flags.model ?? (await newestModel(config)), {
    stopIds: config.rollout.stopIds,
  });
  const { rows } = await loadRows(config, student, "evaluation");
  const note = (text: string) => process.stderr.write(`${text}\n`);
  const { evaluation } = config;
  const names = evaluation.teacherRows > 0 ? [evaluation.teacher] : [];
  const teachers = await openTeachers({ config, student: student.handshake, note, names });
  const interrupt = onInterrupt();
  const { engine, close } = await openFileEngine({
    student,
    threads: config.training.threads,
    kvMemoryBytes: config.student.kvMemoryBytes,
  });
  try {
    return await evaluateStudent({
      engine,
      rows,
      config: evaluation,
      codec: student.tokenizer,
      maxResponse: evaluation.maxResponse ?? config.rollout.maxResponse,
      stopIds: student.stopIds,
      teacher: teachers.get(evaluation.teacher),
      abort: interrupt.signal,
    });
  } finally {
    interrupt.dispose();
    closeTeachers(teachers);
    await close();
  }
}

async function writeRows(path: string, rows: Evaluation["rows"]): Promise<void> {
  const out = createWriteStream(path);
  for (const { row, response, text, correct } of rows) {
    const record = {
      row: row.index,
      prompt: row.promptText,
      response: text,
      reference: row.answerText,
      finish: response.finish,
      correct,
    };
    out.write(`${JSON.stringify(record)}\n`);
  }
  out.end();
  await finished(out);
}
