import type { z } from "zod";
import { TandemError } from "../errors/tandem-error.js";
import {
  applyAssignments,
  layerFromEnvironment,
  mergeLayers,
  unknownOption,
  withSchemaNames,
  type Layer,
} from "./config-layers.js";
import { deepFreeze } from "./deep-freeze.js";
import { readConfigChain } from "./read-config-chain.js";
import { schemaAt, shapeOf } from "./schema-walk.js";

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
  if (options.prefix !== undefined)
    layers.push(layerFromEnvironment(schema, options.prefix, options.env ?? {}));
  if (options.overrides !== undefined)
    layers.push(withSchemaNames(schema, options.overrides, [], "the flags") as Layer);
  return validateConfig(
    schema,
    applyAssignments(schema, options.assignments ?? [], mergeLayers(schema, layers)),
  );
}

/** Validates one nested record and freezes what comes out.
 * @throws TandemError INVALID_ARGUMENT naming the first wrong field and all others in the message. */
function validateConfig<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
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
  const lines = issues.map(
    (issue) => `${issue.path.join(".") || "configuration"}: ${issue.message}`,
  );
  throw new TandemError("INVALID_ARGUMENT", lines.join("; "), {
    field: issues[0]?.path.join(".") ?? "",
    cause: parsed.error,
  });
}
