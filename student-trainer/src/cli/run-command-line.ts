import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { CommanderError } from "commander";

import { createProgram } from "./create-program.js";
import { exitCodeOf } from "./usage-error.js";

/** Runs one command; its errors become a line on stderr and an exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...argv]);
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (caught) {
    // Commander has written its message (or the help that was asked for) itself.
    if (caught instanceof CommanderError) return caught.exitCode === 0 ? 0 : 2;
    const error = TandemError.from(caught);
    process.stderr.write(`student-trainer: ${error.message}\n`);
    if (error.code === "INTERNAL" && caught instanceof Error) {
      process.stderr.write(`${caught.stack ?? ""}\n`);
    }
    return exitCodeOf(caught);
  }
}
