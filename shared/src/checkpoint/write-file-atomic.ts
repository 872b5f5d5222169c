import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

import { TandemError } from "../errors/tandem-error.js";

/** Replaces a file so that at every moment either the old or the new one is there, whole: temporary file beside it, fsync, rename, fsync of the directory.
 * @throws TandemError RESOURCE_EXHAUSTED when the disk is full; the old file is intact. */
export async function writeFileAtomic(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = `${path}.tmp-${process.pid}`;
  try {
    const handle = await open(temporary, "w");
    try {
      for await (const chunk of chunks) {
        for (let done = 0; done < chunk.byteLength;) {
          done += (await handle.write(chunk, done, Math.min(chunk.byteLength - done, 1 << 30)))
            .bytesWritten;
        }
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true });
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
      throw new TandemError(
        "RESOURCE_EXHAUSTED",
        `no space left to write ${path}; free some and try again`,
        { cause },
      );
    }
    throw cause;
  }
}

/** Makes the rename itself durable. Not every platform lets a directory be opened. */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r").catch(() => undefined);
  if (handle === undefined) return;
  try {
    await handle.sync();
  } catch (cause) {
    if (
      (cause as NodeJS.ErrnoException).code !== "EINVAL" &&
      (cause as NodeJS.ErrnoException).code !== "EPERM"
    ) {
      throw cause;
    }
  } finally {
    await handle.close();
  }
}
