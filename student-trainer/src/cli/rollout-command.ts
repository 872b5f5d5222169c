import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";

import { Command } from "commander";

import { checkVocabulary } from "../config/check-vocabulary.js";
import { LossSet } from "../losses/loss-set.js";
import { asksAnything, type SignalRequirement } from "../losses/signal-requirement.js";
import { readRunConfig, withConfigOptions, type ConfigFlags } from "./config-options.js";
import { onInterrupt } from "./interrupt.js";
import { newestModel } from "./newest-model.js";
import { loadRows } from "./load-rows.js";
import { openSource } from "./open-source.js";
import { openFileEngine, openStudent } from "./open-student.js";
import { closeTeachers, openTeachers } from "./open-teachers.js";
import { wholeNumber } from "./parse-flag.js";
import { openTranslation, translatedPool } from "./open-translation.js";
import { runSizes } from "./run-sizes.js";
import { toSampleRecord } from "./sample-record.js";

const EXAMPLES = `
Examples:
  student-trainer rollout --config run.yaml --batches 1 --out rollouts.jsonl
  student-trainer rollout --config run.yaml --model student --set rollout.kind=on-policy
Each line: prompt, tokens, pieces, authors (0 student, 1 teacher, 2 data), ranks, the teacher's top 5.`;

interface Flags extends ConfigFlags {
  readonly model?: string;
  readonly batches: number;
  readonly out?: string;
}

export function createRolloutCommand(): Command {
  return withConfigOptions(new Command("rollout"))
    .description("Write training text without training: JSON lines on stdout or in a file")
    .option("--model <dir>", "directory or hub id; default: the run's newest checkpoint")
    .option("--batches <n>", "how many batches of rollout.rows", wholeNumber(1), 1)
    .option("--out <file>", "default: stdout")
    .addHelpText("after", EXAMPLES)
    .action(writeRollouts);
}

/** People see the rank of every token, also of those that are not in the losses' lists, and the teacher's best. */
function withRanks(asked: SignalRequirement): SignalRequirement {
  return asksAnything(asked)
    ? { ...asked, spec: { ...asked.spec, token: true, omitTopIds: false } }
    : asked;
}

async function writeRollouts(flags: Flags): Promise<void> {
  const config = readRunConfig(flags);
  const student = await openStudent(flags.model ?? (await newestModel(config)), {
    stopIds: config.rollout.stopIds,
  });
  const translation = await openTranslation(config);
  const { rows } = await loadRows(config, student, "train", translation);
  const note = (text: string) => process.stderr.write(`${text}\n`);
  const interrupt = onInterrupt();
  const abort = interrupt.signal;
  const teachers = await openTeachers({
    config,
    student: student.handshake,
    note,
    abort,
    translation,
  });
  const { engine, close } = await openFileEngine({
    student,
    threads: config.training.threads,
    kvMemoryBytes: config.student.kvMemoryBytes,
  });
  try {
    const source = openSource({
      config,
      student,
      rows,
      engine,
      teachers: translatedPool(teachers, student, translation),
    });
    const losses = new LossSet(config.losses, runSizes(student, teachers, translation));
    checkVocabulary(config.rollout, losses, student.tokenizer.vocabularySize);
    const asked = losses.requirement(0);
    const requirement = translation === undefined ? withRanks(asked) : asked;
    const out = flags.out === undefined ? process.stdout : createWriteStream(flags.out);
    for (let batch = 0; batch < flags.batches; batch++) {
      const written = await source.next({ ...requirement, progress: 0, abort });
      for (const rollout of written.rollouts) {
        const record = toSampleRecord(rollout, { step: 0, batch }, student.tokenizer);
        out.write(`${JSON.stringify(record)}\n`);
      }
      const { judged, accepted } = written.stats;
      const share = judged === 0 ? "" : `, accepted ${((100 * accepted) / judged).toFixed(1)} %`;
      note(
        `batch ${batch}: ${written.rollouts.length} rollouts in ${written.seconds.toFixed(1)} s${share}`,
      );
    }
    if (out !== process.stdout) {
      out.end();
      await finished(out);
    }
  } finally {
    interrupt.dispose();
    closeTeachers(teachers);
    await close();
  }
}
