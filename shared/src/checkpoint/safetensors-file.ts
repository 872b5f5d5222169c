import { open, realpath, type FileHandle } from "node:fs/promises";

import { TandemError } from "../errors/tandem-error.js";
import {
  damaged,
  MAX_HEADER_BYTES,
  parseSafetensorsHeader,
  type SafetensorsHeader,
} from "./safetensors-header.js";

export interface SafetensorsFile extends SafetensorsHeader {
  /** The real path: links of hub caches are resolved, as the native runtime wants directory and base name. */
  readonly path: string;
}

/** Opens a safetensors file, reads and checks its header, closes it.
 * @throws TandemError NOT_FOUND when it is missing, DATA_LOSS when it is damaged or truncated. */
export async function readSafetensorsFile(path: string): Promise<SafetensorsFile> {
  const real = await realpath(path).catch((cause: unknown) => {
    throw new TandemError(
      "NOT_FOUND",
      `weights file ${path} does not exist or is a dangling link`,
      {
        cause,
        field: "model",
      },
    );
  });
  const handle = await open(real, "r");
  try {
    const fileBytes = (await handle.stat()).size;
    if (fileBytes < 8)
      throw damaged(real, `the file is truncated: ${fileBytes} bytes, the header alone needs more`);
    const headerBytes = Number((await readBytes(handle, 0, 8, real)).readBigUInt64LE());
    if (headerBytes > MAX_HEADER_BYTES) {
      throw damaged(
        real,
        `it announces a header of ${headerBytes} bytes, at most ${MAX_HEADER_BYTES} are allowed`,
      );
    }
    if (8 + headerBytes > fileBytes) {
      throw damaged(
        real,
        `the file is truncated: its header needs ${8 + headerBytes} bytes, the file has ${fileBytes}`,
      );
    }
    const json = (await readBytes(handle, 8, headerBytes, real)).toString("utf8");
    return {
      path: real,
      ...parseSafetensorsHeader(json, { file: real, dataStart: 8 + headerBytes, fileBytes }),
    };
  } finally {
    await handle.close();
  }
}

/** Reads exactly `length` bytes at `offset`.
 * @throws TandemError DATA_LOSS when the file ends before. */
export async function readBytes(
  handle: FileHandle,
  offset: number,
  length: number,
  path: string,
): Promise<Buffer> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  let done = 0;
  while (done < length) {
    // One read call moves at most 2 GiB on Linux.
    const { bytesRead } = await handle.read(
      bytes,
      done,
      Math.min(length - done, 1 << 30),
      offset + done,
    );
    if (bytesRead === 0)
      throw damaged(
        path,
        `the file ended at byte ${offset + done}, ${length - done} bytes are missing`,
      );
    done += bytesRead;
  }
  return bytes;
}
