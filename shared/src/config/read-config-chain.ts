import { dirname, resolve } from "node:path";
import { TandemError } from "../errors/tandem-error.js";
import { readConfigFile } from "./read-config-file.js";

/** A file of a chain, without its `extends`. */
export interface ConfigFile {
  readonly file: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** A configuration file and those that it extends, the most basic one first. `extends` is a path relative to the file it stands in.
 * @throws TandemError NOT_FOUND when one cannot be read, INVALID_ARGUMENT when one is no mapping or they extend each other. */
export function readConfigChain(
  file: string,
  below: readonly string[] = [],
): readonly ConfigFile[] {
  const path = resolve(file);
  if (below.includes(path)) throw invalid(`${file} extends itself`);
  const { extends: base, ...values } = readConfigFile(file);
  if (base === undefined) return [{ file, values }];
  if (typeof base !== "string") throw invalid(`${file}: extends takes the path of one file`);
  return [...readConfigChain(resolve(dirname(path), base), [...below, path]), { file, values }];
}

function invalid(message: string): TandemError {
  return new TandemError("INVALID_ARGUMENT", message, { field: "extends" });
}
