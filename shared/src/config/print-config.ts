import { createHash } from "node:crypto";
import { stringify } from "yaml";

/** The resolved configuration as YAML that `--config` reads back. */
export function printConfig(config: unknown): string {
  return stringify(config, { lineWidth: 0 });
}

/** `sha256:` + hex over the configuration as JSON with sorted keys: equal for equal values, however they were given. */
export function configDigest(config: unknown): string {
  return `sha256:${createHash("sha256")
    .update(JSON.stringify(sortKeys(config)))
    .digest("hex")}`;
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, child]) => [key, sortKeys(child)]));
}
