import { performance } from "node:perf_hooks";

import { unreachable } from "@tandem/shared/errors/invariant.js";
import type { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { RunConfig } from "../config/run-config.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import { checkTranslation, type Translation } from "./open-translation.js";
import { parseTeacherAddress } from "../teacher/teacher-addresses.js";
import { checkTokenizer, type StudentTokenizer } from "../teacher/check-tokenizer.js";
import { TeacherClient } from "../teacher/teacher-client.js";
import type { TeacherEvent, TeacherOptions } from "../teacher/teacher-options.js";
import { asUsage } from "./usage-error.js";

const NOTE_EVERY_MS = 5_000;

export interface OpenTeacherOptions {
  readonly student: StudentTokenizer;
  readonly note: (text: string) => void;
  /** Of `teachers:`; left out: the one of `teacher:`. */
  readonly name?: TeacherName;
  readonly abort?: AbortSignal | undefined;
  /** Its tokenizer, where it is not the student's. */
  readonly translation?: Translation | undefined;
}

/** Connects to a configured teacher and compares tokenizers.
 * @throws TandemError INVALID_ARGUMENT for what is no address, UNAVAILABLE, FAILED_PRECONDITION. */
export async function openTeacher(
  config: Omit<TeacherOptions, "addresses" | "random"> & Pick<RunConfig["teacher"], "address">,
  { student, note, name, abort, translation }: OpenTeacherOptions,
): Promise<TeacherClient> {
  const { address, ...rest } = config;
  const given = typeof address === "string" ? address.split(",") : (address ?? []);
  const addresses = given.map((each) => each.trim()).filter((each) => each !== "");
  asUsage(() => addresses.forEach(parseTeacherAddress));
  const options: TeacherOptions = {
    ...rest,
    ...(config.tokenFile === undefined && tokenFromEnvironment(name)),
    addresses,
    // Spreads reconnects over time; no result depends on it.
    random: Math.random,
    onEvent: createNotes(note),
  };
  const client = await TeacherClient.connect(options, abort);
  try {
    if (translation === undefined) checkTokenizer(student, client.description);
    else checkTranslation(translation, client.description);
  } catch (error) {
    client.close();
    throw error;
  }
  return client;
}

/** Where the secret is when it is in no file; never in a configuration, which ends up in the run directory. Each teacher has its own: what names the
 * student to one is not shown to another. */
function tokenFromEnvironment(name: TeacherName): Pick<TeacherOptions, "token"> {
  const variable =
    name === undefined
      ? "TANDEM_TEACHER_TOKEN"
      : `TANDEM_TEACHERS_${name.toUpperCase().replaceAll("-", "_")}_TOKEN`;
  const token = process.env[variable]?.trim();
  return token === undefined || token === "" ? {} : { token };
}

/** Tells of a teacher that does not answer, not of every try. */
function createNotes(note: (text: string) => void): (event: TeacherEvent) => void {
  let last = -Infinity;
  const why = (error: TandemError) => error.message.split("\n")[0] ?? "";
  return (event) => {
    switch (event.kind) {
      case "connected":
        return note(`teacher ${event.model} at ${event.address}`);
      case "refused":
        return note(`teacher ${event.address} is left out: ${why(event.error)}`);
      case "retry":
        if (performance.now() - last < NOTE_EVERY_MS) return;
        last = performance.now();
        return note(`waiting for the teacher at ${event.address}: ${why(event.error)}`);
      default:
        return unreachable(event);
    }
  };
}
