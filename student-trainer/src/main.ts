import { endWithReader } from "@tandem/shared/telemetry/end-with-reader.js";

import { runCommandLine } from "./cli/run-command-line.js";

endWithReader();
process.exitCode = await runCommandLine(process.argv);
