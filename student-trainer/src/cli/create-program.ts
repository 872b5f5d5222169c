import { Command } from "commander";

import { createEvaluateCommand } from "./evaluate-command.js";
import { createExportCommand } from "./export-command.js";
import { createGenerateCommand } from "./generate-command.js";
import { createInitCommand } from "./init-command.js";
import { createLossesCommand } from "./losses-command.js";
import { createReportCommand } from "./report-command.js";
import { createRolloutCommand } from "./rollout-command.js";
import { createScoreCommand } from "./score-command.js";
import { createTrainCommand } from "./train-command.js";

const EXAMPLES = `
A first run:
  teacher-server --model TEACHER --port 50051
  student-trainer init --from TEACHER --layers 0,2,4 --out student
  student-trainer train --set student.model=student --set teacher.address=127.0.0.1:50051 --config run.yaml`;

/** The command line, with commander's own errors thrown instead of ending the process. */
export function createProgram(): Command {
  const program = new Command("student-trainer")
    .description("Distil a small language model from a teacher that runs elsewhere")
    .addHelpText("after", EXAMPLES)
    .version("0.1.0");
  const commands = [
    createTrainCommand(),
    createEvaluateCommand(),
    createGenerateCommand(),
    createRolloutCommand(),
    createScoreCommand(),
    createExportCommand(),
    createInitCommand(),
    createReportCommand(),
    createLossesCommand(),
  ];
  for (const command of commands) program.addCommand(command.exitOverride());
  return program.exitOverride();
}
