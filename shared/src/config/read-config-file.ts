import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { TandemError } from "../errors/tandem-error.js";

/** Reads a YAML or JSON file (JSON is YAML) whose top level is a mapping.
 * @throws TandemError NOT_FOUND when it cannot be read, INVALID_ARGUMENT when it is no YAML or no mapping. */
export function readConfigFile(file: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new TandemError(
      "NOT_FOUND",
      `cannot read the configuration file ${file}: ${(cause as Error).message}`,
      {
        cause,
        field: "config",
      },
    );
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${file} is no YAML or JSON: ${(cause as Error).message}`,
      {
        cause,
        field: "config",
      },
    );
  }
  if (value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${file} holds a ${Array.isArray(value) ? "list" : typeof value}; a mapping of option: value is needed`,
      {
        field: "config",
      },
    );
  }
  return value as Record<string, unknown>;
}
