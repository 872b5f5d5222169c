import { createHash } from "node:crypto";
import { lstat, mkdir, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";

import { downloadFile, listFiles, modelInfo, type ListFileEntry } from "@huggingface/hub";

import { TandemError } from "../errors/tandem-error.js";
import { writeFileAtomic } from "./write-file-atomic.js";

/** Which files of a hub repository make a model for us; pickles, other formats and sub-folders are left there. */
const WANTED_FILE =
  /^(?:[^/]*\.safetensors(?:\.index\.json)?|[^/]*config\.json|tokenizer[^/]*\.json|special_tokens_map\.json|added_tokens\.json|vocab\.json|merges\.txt|chat_template\.(?:jinja|json))$/;
const HEX_DIGEST = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

export interface HubAccess {
  /** The hub's address; absent: huggingface.co. */
  readonly hubUrl?: string;
  readonly accessToken?: string;
  readonly fetch?: typeof fetch;
}

/** Fetches what is missing of a model into a cache of huggingface_hub's layout: `blobs/<digest>`, `snapshots/<commit>/<file>` as links, `refs/<revision>`.
 * Nothing half-fetched is ever found by anybody: blobs are renamed into place, the ref is written last. Returns the snapshot's directory. */
export async function downloadSnapshot(
  model: string,
  { revision, repoDir, access }: { revision: string; repoDir: string; access: HubAccess },
): Promise<string> {
  const { sha } = await modelInfo({ name: model, revision, additionalFields: ["sha"], ...access });
  assertDigest(sha, model);
  const snapshot = join(repoDir, "snapshots", sha);
  const repo = { type: "model", name: model } as const;
  await mkdir(join(repoDir, "blobs"), { recursive: true });
  await mkdir(snapshot, { recursive: true });
  for await (const entry of listFiles({ repo, revision: sha, ...access })) {
    if (entry.type !== "file" || !WANTED_FILE.test(entry.path)) continue;
    const digest = entry.lfs?.oid ?? entry.xetHash ?? entry.oid;
    assertDigest(digest, model);
    const blob = join(repoDir, "blobs", digest);
    if (!(await exists(blob))) {
      const content = await downloadFile({ repo, path: entry.path, revision: sha, ...access });
      if (content === null) throw incomplete(model, entry, 0);
      await writeFileAtomic(blob, checked(content, model, entry));
    }
    const link = join(snapshot, entry.path);
    if (!(await exists(link))) await symlink(join("..", "..", "blobs", digest), link);
  }
  if (revision !== sha) {
    const ref = join(repoDir, "refs", revision);
    await mkdir(dirname(ref), { recursive: true });
    await writeFileAtomic(ref, [Buffer.from(sha)]);
  }
  return snapshot;
}

/** The bytes as they come; throws at their end when there are too few of them or, where the hub says it, their SHA-256 is another. */
async function* checked(
  content: Blob,
  model: string,
  entry: ListFileEntry,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of content.stream()) {
    size += chunk.byteLength;
    hash.update(chunk);
    yield chunk;
  }
  const wanted = entry.lfs?.size ?? entry.size;
  if (size !== wanted) throw incomplete(model, entry, size);
  if (entry.lfs !== undefined && hash.digest("hex") !== entry.lfs.oid) {
    throw new TandemError(
      "DATA_LOSS",
      `${entry.path} of model "${model}" arrived with another SHA-256 than the hub announced; try again`,
    );
  }
}

function incomplete(model: string, entry: ListFileEntry, size: number): TandemError {
  return new TandemError(
    "UNAVAILABLE",
    `${entry.path} of model "${model}" broke off after ${size} of ${entry.lfs?.size ?? entry.size} bytes; try again`,
  );
}

function assertDigest(digest: string | undefined, model: string): asserts digest is string {
  // It becomes part of a path.
  if (digest !== undefined && HEX_DIGEST.test(digest)) return;
  throw new TandemError(
    "DATA_LOSS",
    `the hub names ${JSON.stringify(digest)} as a digest for model "${model}"`,
  );
}

/** A link counts if what it points to is there. */
async function exists(path: string): Promise<boolean> {
  const linked = await lstat(path).catch(() => undefined);
  return linked !== undefined && (await stat(path).catch(() => undefined)) !== undefined;
}
