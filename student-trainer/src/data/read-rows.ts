import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";

/** A record of a data file and where it stands, for messages: `train.jsonl:17`. */
export interface RawRow {
  readonly place: string;
  readonly record: Readonly<Record<string, unknown>>;
}

/** Reads a data file whole: `.parquet`, everything else as JSON lines (empty lines are skipped).
 * @throws TandemError NOT_FOUND for a missing file, INVALID_ARGUMENT naming file and line of the first malformed record. */
export async function readRows(path: string): Promise<RawRow[]> {
  if (!(await stat(path).catch(() => undefined))?.isFile()) {
    throw new TandemError("NOT_FOUND", `data file ${path} does not exist`, { field: "data" });
  }
  return path.endsWith(".parquet") ? readParquet(path) : readJsonLines(path);
}

async function readJsonLines(path: string): Promise<RawRow[]> {
  const rows: RawRow[] = [];
  let line = 0;
  const lines = createInterface({ input: createReadStream(path, "utf8"), crlfDelay: Infinity });
  for await (const text of lines) {
    line++;
    if (text.trim() === "") continue;
    rows.push({ place: `${path}:${line}`, record: parseLine(text, `${path}:${line}`) });
  }
  return rows;
}

function parseLine(text: string, place: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TandemError("INVALID_ARGUMENT", `${place}: not a JSON line (${reason})`, {
      cause,
      field: "data",
    });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TandemError("INVALID_ARGUMENT", `${place}: a JSON object is needed, one per line`, {
      field: "data",
    });
  }
  return value as Record<string, unknown>;
}

async function readParquet(path: string): Promise<RawRow[]> {
  try {
    const file = await asyncBufferFromFile(path);
    const records = await parquetReadObjects({ file });
    return records.map((record, index) => ({ place: `${path}:row ${index + 1}`, record }));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TandemError("INVALID_ARGUMENT", `${path}: not a readable parquet file (${reason})`, {
      cause,
      field: "data",
    });
  }
}
