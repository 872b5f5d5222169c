import { join } from "node:path";

import { configDigest } from "@tandem/shared/config/print-config.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { loadLatestState } from "../checkpoint/load-checkpoint.js";
import { courseDigest, courseOf, loadRunConfig } from "../config/load-run-config.js";
import type { RunConfig } from "../config/run-config.js";

/** How many differences a message names. */
const NAMED = 5;

/** Looks before anything is written whether a run may go on under this configuration.
 * @throws TandemError NOT_FOUND without a checkpoint, FAILED_PRECONDITION naming the options that differ from those the newest one was made with. */
export async function assertSameCourse(config: RunConfig, runDir: string): Promise<void> {
  const state = await loadLatestState(join(runDir, "checkpoints"));
  if (state.configDigest === courseDigest(config)) return;
  const file = join(runDir, "config.resolved.yaml");
  const begun = readBegun(file, state.configDigest);
  const what =
    begun === undefined
      ? `(${state.configDigest}, now ${courseDigest(config)})`
      : `: ${named(differences(courseOf(begun), courseOf(config)))}`;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `the checkpoint in ${runDir} was made with another configuration${begun === undefined ? " " : ""}${what}; resume with ${file} or start a new run`,
    { field: "resume" },
  );
}

/** The configuration that the checkpoint was made with; undefined when the file is gone, of another version or another one. */
function readBegun(file: string, digest: string): RunConfig | undefined {
  try {
    const config = loadRunConfig({ file });
    return courseDigest(config) === digest ? config : undefined;
  } catch {
    return undefined;
  }
}

function named(lines: readonly string[]): string {
  const more = lines.length - NAMED;
  return [...lines.slice(0, NAMED), ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

/** `optimizer.learningRate is 0.001, was 0.002` for every leaf that differs. */
function differences(before: unknown, now: unknown, path = ""): readonly string[] {
  if (isRecord(before) && isRecord(now)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
    return [...keys].flatMap((key) =>
      differences(before[key], now[key], path === "" ? key : `${path}.${key}`),
    );
  }
  if (configDigest([before]) === configDigest([now])) return [];
  return [`${path} is ${shown(now)}, was ${shown(before)}`];
}

function shown(value: unknown): string {
  return value === undefined ? "not given" : JSON.stringify(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
