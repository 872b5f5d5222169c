import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import type { ModelConfig } from "@tandem/shared/checkpoint/model-config.js";
import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";
import type { WeightsIdentity } from "../engine-messages.js";

export interface IdentifyOptions {
  /** Of the directory. */
  readonly config: ModelConfig;
  readonly known?: WeightsIdentity | undefined;
  readonly cacheDir: string;
}

/** The digest of a checkpoint: its weights, and what config.json says of the arithmetic with them. Reading all weights takes a while for large models, so what was found is kept: by the engine's parent for a
 * restarted engine, in the cache directory for the next start. It is taken over when no file has changed since.
 * @throws TandemError as `CheckpointWeights.open`. */
export async function identifyWeights(
  dir: string,
  { config, known, cacheDir }: IdentifyOptions,
): Promise<WeightsIdentity> {
  const arithmetic = arithmeticOf(config);
  const stamp = `${arithmetic}\n${await stampOf(dir)}`;
  if (known?.stamp === stamp) return known;
  const folder = join(cacheDir, "digests");
  const file = join(folder, sha256(stamp));
  const kept = await readFile(file, "utf8").catch(() => "");
  if (DIGEST.test(kept)) return { stamp, digest: kept };
  const weights = await CheckpointWeights.open(dir);
  const digest = `sha256:${sha256(`${arithmetic}\n${await weights.digest()}`)}`;
  await keep(folder, file, digest);
  return { stamp, digest };
}

/** How a model is trained, how far it is used, and which ids begin and end texts. */
const WITHOUT_ARITHMETIC = new Set<string>([
  "initializerRange",
  "contextLength",
  "bosTokenId",
  "eosTokenIds",
] satisfies (keyof ModelConfig)[]);

/** The fields that change a model's answers. */
function arithmeticOf(config: ModelConfig): string {
  return JSON.stringify(Object.entries(config).filter(([field]) => !WITHOUT_ARITHMETIC.has(field)));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
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
