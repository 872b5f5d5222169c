import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import { TandemError } from "../errors/tandem-error.js";
import {
  applyAssignments,
  environmentName,
  layerFromEnvironment,
  mergeLayers,
  unknownOption,
  withSchemaNames,
  type Layer,
} from "./config-layers.js";
import { deepFreeze } from "./deep-freeze.js";
import { explainIssue } from "./explain-issue.js";
import { readConfigChain } from "./read-config-chain.js";
import { elementOf, schemaAt, shapeOf } from "./schema-walk.js";

export interface LoadConfigOptions<S extends z.ZodType> {
  /** A strict object; every field has a default or is required. */
  readonly schema: S;
  /** Of environment twins: `TANDEM_` makes `TANDEM_MAX_MODEL_LEN` the twin of `maxModelLen`. Absent: no environment layer. */
  readonly prefix?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** YAML or JSON; with `extends: FILE` it only says what differs from that file. */
  readonly file?: string | undefined;
  /** Values of flags, nested as the schema is; undefined ones were not given. */
  readonly overrides?: Layer;
  /** `a.b=value` pairs, applied last. */
  readonly assignments?: readonly string[];
}

/** Defaults < file < environment < flags < `--set`, validated and frozen. Keys may be written in kebab, snake or camel case.
 * @throws TandemError NOT_FOUND for a missing file, INVALID_ARGUMENT for an unknown option (naming the nearest) or a bad value. */
export function loadConfig<S extends z.ZodType>(options: LoadConfigOptions<S>): z.output<S> {
  const { schema } = options;
  const layers: Layer[] = [];
  if (options.file !== undefined) {
    for (const { file, values } of readConfigChain(options.file))
      layers.push(withSchemaNames(schema, values, [], file) as Layer);
  }
  const environment =
    options.prefix === undefined
      ? {}
      : layerFromEnvironment(schema, options.prefix, options.env ?? {});
  layers.push(environment);
  if (options.overrides !== undefined)
    layers.push(withSchemaNames(schema, options.overrides, [], "the flags") as Layer);
  const value = applyAssignments(schema, options.assignments ?? [], mergeLayers(schema, layers));
  return validateConfig(schema, value, ({ path }, given) => {
    if (options.prefix === undefined) return "";
    const twin = options.prefix + environmentName(path.map(String));
    if (given === undefined) return leafAt(schema, path) ? ` (in the environment: ${twin})` : "";
    return isDeepStrictEqual(given, valueAt(environment, path)) ? ` (from ${twin})` : "";
  });
}

function leafAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): boolean {
  const field = schemaAt(schema, path.map(String));
  return field !== undefined && shapeOf(field) === undefined && elementOf(field) === undefined;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (node, key) =>
      typeof node === "object" && node !== null
        ? (node as Record<PropertyKey, unknown>)[key]
        : undefined,
    value,
  );
}

/** Validates one nested record and freezes what comes out.
 * @throws TandemError INVALID_ARGUMENT naming the first wrong field and all others in the message. */
function validateConfig<S extends z.ZodType>(
  schema: S,
  value: unknown,
  sourceOf: (issue: z.core.$ZodIssue, given: unknown) => string,
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return deepFreeze(parsed.data);
  const issues = parsed.error.issues;
  const unknown = issues.find((issue) => issue.code === "unrecognized_keys");
  if (unknown?.code === "unrecognized_keys") {
    const above = unknown.path.map(String);
    const at = schemaAt(schema, above);
    const known = Object.keys((at && shapeOf(at)) ?? {});
    throw unknownOption(
      [...above, unknown.keys[0] ?? ""].join("."),
      known,
      above,
      "the configuration",
    );
  }
  const lines = issues.map((issue) => {
    const given = valueAt(value, issue.path);
    return explainIssue(issue, given, sourceOf(issue, given));
  });
  throw new TandemError("INVALID_ARGUMENT", lines.join("; "), {
    field: issues[0]?.path.join(".") ?? "",
    cause: parsed.error,
  });
}
