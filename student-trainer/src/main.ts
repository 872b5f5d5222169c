import { runCommandLine } from "./cli/run-command-line.js";

process.exitCode = await runCommandLine(process.argv);
