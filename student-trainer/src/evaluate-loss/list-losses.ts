import { z } from "zod";
import type { LossRequirement } from "../losses/loss-definition.js";
import { describeLosses } from "../losses/loss-registry.js";

export interface LossListing {
  /** The exact name in configurations. */
  readonly name: string;
  readonly summary: string;
  /** Paper, with its arXiv number. */
  readonly source: string;
  readonly options: readonly LossOption[];
  /** What the loss asks the teacher for with its default options. */
  readonly requires: LossRequirement;
}

export interface LossOption {
  readonly name: string;
  readonly description: string;
  readonly default: unknown;
}

/** Every loss with its options, defaults, and what it asks the teacher for. */
export function listLosses(): readonly LossListing[] {
  return describeLosses().map(({ options, ...rest }) => ({
    ...rest,
    options: listOptions(options),
  }));
}

function listOptions(schema: z.ZodType): readonly LossOption[] {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input" });
  const defaults = schema.parse({}) as Readonly<Record<string, unknown>>;
  return Object.entries(properties).map(([name, property]) => {
    const { description = "" } = property as { readonly description?: string };
    return { name, description, default: plain(defaults[name]) };
  });
}

/** A constant schedule is shown as the number that it is. */
function plain(value: unknown): unknown {
  const isConstant =
    typeof value === "object" && value !== null && "kind" in value && value.kind === "constant";
  return isConstant && "value" in value ? value.value : value;
}
