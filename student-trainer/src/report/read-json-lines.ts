import { readFile } from "node:fs/promises";
import { basename } from "node:path";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";

export interface JsonLine {
  readonly lineNumber: number;
  readonly value: unknown;
}

/** Reads a JSON-lines file; a file that does not exist has no lines. A last line without its newline is still being written and left out.
 * @throws TandemError DATA_LOSS naming file and line when a line is not JSON. */
export async function readJsonLines(path: string): Promise<readonly JsonLine[]> {
  const lines = (await readTextIfThere(path)).split("\n").slice(0, -1);
  return lines.flatMap((text, index) => {
    if (text.trim() === "") return [];
    const lineNumber = index + 1;
    try {
      return [{ lineNumber, value: JSON.parse(text) as unknown }];
    } catch (cause) {
      throw new TandemError(
        "DATA_LOSS",
        `${basename(path)} line ${lineNumber} is not JSON: ${text.slice(0, 80)}; remove the line or write the report from an intact run`,
        { cause },
      );
    }
  });
}

/** The text of a file, or "" when there is none. */
export async function readTextIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
