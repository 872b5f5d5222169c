import { z } from "zod";
import { canonicalName } from "./nearest-name.js";

/** The schema below defaults, optionals, nullables, readonlys and pipes. */
export function innermost(schema: z.core.$ZodType): z.core.$ZodType {
  let current = schema;
  for (;;) {
    const def = current._zod.def as {
      readonly innerType?: z.core.$ZodType;
      readonly in?: z.core.$ZodType;
    };
    const next = def.innerType ?? def.in;
    if (next === undefined) return current;
    current = next;
  }
}

/** The fields of an object schema, whatever is wrapped around it; absent for anything else. */
export function shapeOf(
  schema: z.core.$ZodType,
): Readonly<Record<string, z.core.$ZodType>> | undefined {
  const inner = innermost(schema);
  return inner instanceof z.ZodObject ? inner.shape : undefined;
}

/** Whether an object schema lets unknown keys through (`looseObject`): what they mean is checked by whoever asked for them. */
export function isLoose(schema: z.core.$ZodType): boolean {
  const inner = innermost(schema);
  return inner instanceof z.ZodObject && inner.def.catchall instanceof z.ZodUnknown;
}

/** The element schema of an array or the value schema of a record; absent for anything else. */
export function elementOf(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  const inner = innermost(schema);
  if (inner instanceof z.ZodArray) return inner.element;
  if (inner instanceof z.ZodRecord) return inner.valueType as z.core.$ZodType;
  return undefined;
}

/** The field that a user's spelling (kebab, snake or camel case) means. */
export function fieldNamed(
  shape: Readonly<Record<string, unknown>>,
  name: string,
): string | undefined {
  if (Object.hasOwn(shape, name)) return name;
  const wanted = canonicalName(name);
  return Object.keys(shape).find((field) => canonicalName(field) === wanted);
}

/** Every path of object fields that ends in something that is no object. */
export function leafPaths(schema: z.core.$ZodType, above: readonly string[] = []): string[][] {
  const shape = shapeOf(schema);
  if (shape === undefined) return [[...above]];
  return Object.entries(shape).flatMap(([name, field]) => leafPaths(field, [...above, name]));
}

export function schemaAt(
  schema: z.core.$ZodType,
  path: readonly PropertyKey[],
): z.core.$ZodType | undefined {
  let current: z.core.$ZodType | undefined = schema;
  for (const key of path) {
    if (current === undefined) return undefined;
    current = shapeOf(current)?.[String(key)] ?? elementOf(current);
  }
  return current;
}
