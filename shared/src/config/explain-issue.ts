import type { z } from "zod";

type Issue = z.core.$ZodIssue;

/** Longest value that a message repeats, characters. */
const SHOWN = 80;

/** One finding of a schema as a sentence that names the option, what was given and what is allowed.
 * @param given the value at the issue's path; undefined: none
 * @param from where the value came from, such as ` (from TANDEM_PORT)`, or how to give one; may be empty */
export function explainIssue(issue: Issue, given: unknown, from: string): string {
  const name = issue.path.join(".") || "the configuration";
  // A rule of ours has its own words.
  if (issue.code === "custom") return `${name}: ${issue.message}`;
  if (given === undefined) return `${name} is required${from}`;
  return `${name} is ${shown(given)}${from}: ${allowed(issue)}`;
}

/** What the schema's library calls the types of a configuration file. */
const TYPES: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a group of options",
};

function allowed(issue: Issue): string {
  if (issue.code === "invalid_type") return `expected ${TYPES[issue.expected] ?? issue.expected}`;
  if (issue.code === "invalid_union" && issue.message === "Invalid input") {
    const branches = issue.errors.flatMap(([first]) => (first === undefined ? [] : [first]));
    return [...new Set(branches.map(allowed))].join(", or ");
  }
  return issue.message.replace(/^(Invalid (input|option)|Too (big|small)): /, "");
}

function shown(value: unknown): string {
  // JSON knows neither NaN nor infinity.
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
