import { Command } from "commander";

import { writeHtmlReport } from "../report/write-html-report.js";
import { readRunConfig, withConfigOptions, type ConfigFlags } from "./config-options.js";
import { onInterrupt } from "./interrupt.js";
import { Progress } from "./progress.js";
import { trainRun } from "./train-run.js";

const EXAMPLES = `
Examples:
  student-trainer train --config run.yaml
  student-trainer train --config run.yaml --set teacher.address=gpu-node:50051 --set optimizer.learningRate=3e-4
  student-trainer train --config run.yaml --resume          go on behind the last checkpoint of output.dir
Every value has an environment twin: TANDEM_TEACHER_ADDRESS is teacher.address.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted (a checkpoint was saved).`;

export function createTrainCommand(): Command {
  return withConfigOptions(new Command("train"))
    .description("Train a student; with a teacher, write text together with it")
    .option("--resume", "go on behind the newest checkpoint in output.dir", false)
    .addHelpText("after", EXAMPLES)
    .action(async (flags: ConfigFlags & { readonly resume: boolean }) => {
      const config = readRunConfig(flags);
      const progress = new Progress(process.stderr);
      const interrupt = onInterrupt();
      try {
        const result = await trainRun({
          config,
          resume: flags.resume,
          abort: interrupt.signal,
          note: (text) => progress.note(text),
          onStep: (record, steps) => progress.show({ ...record, steps }),
        });
        progress.end();
        const report = await writeHtmlReport(result.runDir);
        const state = result.interrupted ? "interrupted; go on with --resume" : "done";
        process.stdout.write(`${state}: ${result.checkpoint}\nreport: ${report}\n`);
        if (result.interrupted) process.exitCode = 130;
      } finally {
        progress.end();
        interrupt.dispose();
      }
    });
}
