import type { Command } from "commander";

import { loadRunConfig } from "../config/load-run-config.js";
import type { RunConfig } from "../config/run-config.js";
import type { Purpose } from "../config/teachers-in-use.js";
import { asUsage } from "./usage-error.js";

export interface ConfigFlags {
  readonly config?: string;
  readonly set: readonly string[];
}

/** Adds `--config` and `--set`. */
export function withConfigOptions(command: Command): Command {
  return command
    .option("-c, --config <file>", "the run's configuration, YAML or JSON")
    .option(
      "-s, --set <key=value>",
      "one value of the configuration, over file and environment; may be repeated",
      (value: string, before: readonly string[]) => [...before, value],
      [] as readonly string[],
    );
}

/** The run's configuration from flags and environment. @throws a usage error. */
export function readRunConfig(flags: ConfigFlags, purpose?: Purpose): RunConfig {
  const { config: file, set: assignments } = flags;
  return asUsage(() =>
    loadRunConfig({ file, assignments, env: process.env, ...(purpose && { purpose }) }),
  );
}
