import { open, realpath } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { TandemError } from "../errors/tandem-error.js";

/** The real path of a file of a model's directory, links followed; undefined when there is no such file. A model comes from strangers: a link
 * may lead into the same directory or, as in the hub's cache (`snapshots/COMMIT/x → ../../blobs/DIGEST`), into the same repository, not further.
 * @throws TandemError PERMISSION_DENIED for a link that leads out. */
export async function findModelFile(dir: string, name: string): Promise<string | undefined> {
  const real = await orMissing(realpath(join(dir, name)));
  if (real === undefined) return undefined;
  const home = repositoryOf(await realpath(dir));
  if (real.startsWith(home + sep)) return real;
  throw new TandemError(
    "PERMISSION_DENIED",
    `${join(dir, name)} is a link to ${real}, outside ${home}; copy the file there if it belongs to the model`,
    { field: "model" },
  );
}

/** The text of a file of a model's directory; undefined when there is no such file.
 * @throws TandemError PERMISSION_DENIED as `findModelFile`, DATA_LOSS above `maxBytes`, NOT_FOUND when it cannot be read. */
export async function readModelText(
  dir: string,
  name: string,
  maxBytes: number,
): Promise<string | undefined> {
  const path = await findModelFile(dir, name);
  if (path === undefined) return undefined;
  try {
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) throw tooLarge(path, size, maxBytes);
      return await handle.readFile("utf8");
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof TandemError) throw cause;
    throw new TandemError("NOT_FOUND", `cannot read ${path}: ${(cause as Error).message}`, {
      field: "model",
      cause,
    });
  }
}

/** As `readModelText`, parsed.
 * @throws TandemError DATA_LOSS when it is no JSON. */
export async function readModelJson(dir: string, name: string, maxBytes: number): Promise<unknown> {
  const text = await readModelText(dir, name, maxBytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TandemError(
      "DATA_LOSS",
      `${join(dir, name)} is not JSON: ${(cause as Error).message}`,
      { field: "model", cause },
    );
  }
}

function repositoryOf(realDir: string): string {
  const above = dirname(realDir);
  return basename(above) === "snapshots" ? dirname(above) : realDir;
}

async function orMissing(path: Promise<string>): Promise<string | undefined> {
  try {
    return await path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new TandemError("NOT_FOUND", (error as Error).message, { field: "model", cause: error });
  }
}

function tooLarge(path: string, size: number, limit: number): TandemError {
  return new TandemError(
    "DATA_LOSS",
    `${path} has ${size} bytes; a file of this kind has at most ${limit}`,
    { field: "model", limit },
  );
}
