import { loadConfig } from "@tandem/shared/config/load-config.js";
import { configDigest } from "@tandem/shared/config/print-config.js";

import { checkConfig } from "./check-config.js";
import type { Purpose } from "./teachers-in-use.js";
import { runSchema, type RunConfig } from "./run-config.js";

/** Where a run's configuration comes from: file < TANDEM_… environment < `--set`. */
export interface RunConfigSources {
  readonly file?: string | undefined;
  readonly assignments?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Default: training. */
  readonly purpose?: Purpose;
}

/** The validated, frozen configuration of a run.
 * @throws TandemError NOT_FOUND for a missing file, INVALID_ARGUMENT for unknown options, bad values and combinations that cannot work. */
export function loadRunConfig(sources: RunConfigSources): RunConfig {
  const { file, assignments = [], env = {}, purpose = "training" } = sources;
  const config = loadConfig({ schema: runSchema, prefix: "TANDEM_", env, file, assignments });
  checkConfig(config, purpose);
  return config;
}

/** Digest over what decides the course of a run. */
export function courseDigest(config: RunConfig): string {
  return configDigest(courseOf(config));
}

/** What decides the course of a run. Where the teacher is reached, how often one looks and saves, and what only changes the pace may differ
 * between a run and its resumption. */
export function courseOf(config: RunConfig): Readonly<Record<string, unknown>> {
  const { student, data, rollout, losses, optimizer, training, teacher, teachers } = config;
  const { checkpointEvery: _c, keepCheckpoints: _k, ...course } = training;
  const {
    concurrency: _rows,
    draftAhead: _ahead,
    blockLength: _block,
    onTeacherLoss: _loss,
    ...writing
  } = rollout;
  return {
    student,
    data,
    rollout: writing,
    losses,
    optimizer,
    training: course,
    encoding: teacher.encoding,
    maxLogitError: teacher.maxLogitError,
    ...translationOf(teacher),
    ...(Object.keys(teachers).length > 0 && { teachers: wiresOf(teachers) }),
  };
}

function translationOf({ tokenizer, merge }: Pick<RunConfig["teacher"], "tokenizer" | "merge">) {
  return tokenizer === undefined ? {} : { tokenizer, merge };
}

/** How signals travel, for each named teacher. */
function wiresOf(teachers: RunConfig["teachers"]): unknown {
  const wires = Object.entries(teachers).map(
    ([name, { encoding, maxLogitError, ...rest }]) =>
      [name, { encoding, maxLogitError, ...translationOf(rest) }] as const,
  );
  return Object.fromEntries(wires);
}
