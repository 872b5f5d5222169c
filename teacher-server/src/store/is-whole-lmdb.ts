import { open } from "node:fs/promises";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** Of LMDB's file format, version 2, 64 bit: each of the first two pages has a header of 24 bytes and then a record of the state (`MDB_meta` of mdb.c). */
const META = {
  bytes: 160,
  magic: 24,
  version: 28,
  pageSize: 48,
  lastPage: 144,
  transaction: 152,
} as const;
const MAGIC = 0xbeefc0de;
const VERSION = 2;

/** Whether an LMDB file has all pages that it says it has. LMDB maps its file into memory, and a process that reads behind the end of one that
 * was cut off is killed; so this is found out before. A file that does not exist or is empty is whole: LMDB begins it. */
export async function isWholeLmdb(path: string): Promise<boolean> {
  const file = await open(path, "r").catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw TandemError.from(error);
  });
  if (file === undefined) return true;
  try {
    const { size } = await file.stat();
    if (size === 0) return true;
    const first = await readMeta(0);
    const second = first && (await readMeta(first.pageSize));
    if (first === undefined || second === undefined) return false;
    const newest = second.transaction > first.transaction ? second : first;
    return BigInt(size) >= (newest.lastPage + 1n) * BigInt(newest.pageSize);
  } finally {
    await file.close();
  }

  async function readMeta(at: number): Promise<Meta | undefined> {
    const bytes = Buffer.alloc(META.bytes);
    await file?.read(bytes, 0, META.bytes, at);
    if (bytes.readUInt32LE(META.magic) !== MAGIC) return undefined;
    if (bytes.readUInt32LE(META.version) !== VERSION) return undefined;
    return {
      pageSize: bytes.readUInt32LE(META.pageSize),
      lastPage: bytes.readBigUInt64LE(META.lastPage),
      transaction: bytes.readBigUInt64LE(META.transaction),
    };
  }
}

interface Meta {
  readonly pageSize: number;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}
