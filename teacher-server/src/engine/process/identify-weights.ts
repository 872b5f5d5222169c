import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";
import type { WeightsIdentity } from "../engine-messages.js";

/** The digest of a checkpoint's weights. Reading them all takes a while for large models, so what was found is kept: by the engine's parent for a
 * restarted engine, in the cache directory for the next start. It is taken over when no file has changed since.
 * @throws TandemError as `CheckpointWeights.open`. */
export async function identifyWeights(
  dir: string,
  { known, cacheDir }: { readonly known?: WeightsIdentity | undefined; readonly cacheDir: string },
): Promise<WeightsIdentity> {
  const stamp = await stampOf(dir);
  if (known?.stamp === stamp) return known;
  const folder = join(cacheDir, "digests");
  const file = join(folder, createHash("sha256").update(stamp).digest("hex"));
  const kept = await readFile(file, "utf8").catch(() => "");
  if (DIGEST.test(kept)) return { stamp, digest: kept };
  const weights = await CheckpointWeights.open(dir);
  const digest = `sha256:${await weights.digest()}`;
  await keep(folder, file, digest);
  return { stamp, digest };
}

/** A cache that cannot be written costs time at the next start, nothing else. */
async function keep(folder: string, file: string, digest: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await writeFileAtomic(file, [Buffer.from(digest)]);
  } catch {
    // Read-only, or no room.
  }
}

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Where each file really lies, which it is, how large and how old. Links of a hub cache are followed. */
async function stampOf(dir: string): Promise<string> {
  const names = (await readdir(dir)).filter((name) => name.endsWith(".safetensors")).sort();
  const lines = names.map(async (name) => {
    const path = await realpath(join(dir, name));
    const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true });
    return `${name} ${path} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  });
  return (await Promise.all(lines)).join("\n");
}
