import { Command } from "commander";

import { writeHtmlReport } from "../report/write-html-report.js";

const EXAMPLES = `
Examples:
  student-trainer report runs/demo            writes runs/demo/report.html
The page is one file that loads nothing else. It may be written while the run goes on.`;

export function createReportCommand(): Command {
  return new Command("report")
    .description("Write a page about a run: curves, and the text as it was written")
    .argument("<run-dir>", "the run directory")
    .addHelpText("after", EXAMPLES)
    .action(async (runDirectory: string) => {
      process.stdout.write(`${await writeHtmlReport(runDirectory)}\n`);
    });
}
