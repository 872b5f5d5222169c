/** The layers of a configuration, each turned into the same nested record with the schema's own field names. */
import { z } from "zod";
import { parse } from "yaml";
import { TandemError } from "../errors/tandem-error.js";
import { nearestName } from "./nearest-name.js";
import {
  elementOf,
  fieldNamed,
  innermost,
  isLoose,
  leafPaths,
  schemaAt,
  shapeOf,
} from "./schema-walk.js";

export type Layer = Readonly<Record<string, unknown>>;

/** Gives every key of an object schema its own spelling; what lies in unions and free records stays as written.
 * @throws TandemError INVALID_ARGUMENT for an unknown key, with the nearest known one. */
export function withSchemaNames(
  schema: z.core.$ZodType,
  value: unknown,
  path: readonly string[],
  source: string,
): unknown {
  if (Array.isArray(value)) {
    const element = elementOf(schema);
    return element === undefined
      ? value
      : value.map((item, i) => withSchemaNames(element, item, [...path, String(i)], source));
  }
  if (typeof value !== "object" || value === null) return value;
  const shape = shapeOf(schema);
  const element = elementOf(schema);
  const named: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value)) {
    if (shape !== undefined) {
      const field = fieldNamed(shape, key);
      if (field === undefined) {
        if (!isLoose(schema))
          throw unknownOption([...path, key].join("."), Object.keys(shape), path, source);
        named[key] = child;
        continue;
      }
      named[field] = withSchemaNames(
        shape[field] as z.core.$ZodType,
        child,
        [...path, field],
        source,
      );
    } else {
      named[key] =
        element === undefined ? child : withSchemaNames(element, child, [...path, key], source);
    }
  }
  return named;
}

/** `TANDEM_MAX_MODEL_LEN=512` for the field `maxModelLen`, `TANDEM_TRAIN_BATCH_SIZE` for `train.batchSize`. Other variables are not ours to judge. */
export function layerFromEnvironment(
  schema: z.core.$ZodType,
  prefix: string,
  env: NodeJS.ProcessEnv,
): Layer {
  const layer: Record<string, unknown> = {};
  for (const path of leafPaths(schema)) {
    const text = env[prefix + environmentName(path)];
    if (text !== undefined && text !== "")
      setAt(layer, path, parseText(schemaAt(schema, path), text));
  }
  return layer;
}

/** The environment twin of a field, without the prefix. */
export function environmentName(path: readonly string[]): string {
  return path.map((part) => part.replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase()).join("_");
}

/** `a.b=value` pairs; values are YAML (numbers, booleans, lists), plain text where the field is a text.
 * @throws TandemError INVALID_ARGUMENT for a missing `=` or an unknown path. */
export function applyAssignments(
  schema: z.core.$ZodType,
  assignments: readonly string[],
  base: Layer,
): Layer {
  const layer = structuredClone(base) as Record<string, unknown>;
  for (const assignment of assignments) {
    const equals = assignment.indexOf("=");
    if (equals < 1) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `--set ${assignment} has no value; write it as path.to.option=value`,
        { field: "set" },
      );
    }
    const path = resolvePath(schema, assignment.slice(0, equals).split("."));
    setAt(layer, path, parseText(schemaAt(schema, path), assignment.slice(equals + 1)));
  }
  return layer;
}

/** Later layers win; what the schema describes field by field merges, everything else (lists, and variants such as `{rank}` or `{topP}`) is
 * replaced whole. Undefined values say nothing. */
export function mergeLayers(
  schema: z.core.$ZodType | undefined,
  layers: readonly Layer[],
): Record<string, unknown> {
  const shape = schema && shapeOf(schema);
  const merged: Record<string, unknown> = {};
  for (const layer of layers) {
    for (const [key, value] of Object.entries(layer)) {
      if (value === undefined) continue;
      const below = merged[key];
      const field = shape === undefined ? schema && elementOf(schema) : shape[key];
      const merges = field !== undefined && (shapeOf(field) ?? elementOf(field)) !== undefined;
      merged[key] =
        merges && isPlainObject(below) && isPlainObject(value)
          ? mergeLayers(field, [below, value])
          : value;
    }
  }
  return merged;
}

export function unknownOption(
  name: string,
  known: readonly string[],
  above: readonly string[],
  source: string,
): TandemError {
  const last = name.slice(name.lastIndexOf(".") + 1);
  const nearest = nearestName(last, known);
  const hint =
    nearest === undefined
      ? `known here: ${known.join(", ")}`
      : `did you mean ${[...above, nearest].join(".")}?`;
  return new TandemError("INVALID_ARGUMENT", `unknown option ${name} in ${source}; ${hint}`, {
    field: name,
  });
}

function resolvePath(schema: z.core.$ZodType, written: readonly string[]): string[] {
  const path: string[] = [];
  let current: z.core.$ZodType | undefined = schema;
  for (const part of written) {
    const shape: Readonly<Record<string, z.core.$ZodType>> | undefined =
      current && shapeOf(current);
    const field: string | undefined = shape === undefined ? part : fieldNamed(shape, part);
    if (field === undefined)
      throw unknownOption([...path, part].join("."), Object.keys(shape ?? {}), path, "--set");
    path.push(field);
    current = shape === undefined ? current && elementOf(current) : shape[field];
  }
  return path;
}

function parseText(schema: z.core.$ZodType | undefined, text: string): unknown {
  if (schema !== undefined && innermost(schema) instanceof z.ZodString) return text;
  try {
    return parse(text);
  } catch {
    return text;
  }
}

function setAt(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let node: Record<string, unknown> | unknown[] = target;
  path.forEach((key, depth) => {
    const holder = node as Record<string, unknown>;
    if (depth === path.length - 1) holder[key] = value;
    else {
      if (typeof holder[key] !== "object" || holder[key] === null) holder[key] = {};
      node = holder[key] as Record<string, unknown>;
    }
  });
}

function isPlainObject(value: unknown): value is Layer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
