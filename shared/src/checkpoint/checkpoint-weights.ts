import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";

import { TandemError } from "../errors/tandem-error.js";
import { findModelFile, readModelJson } from "../files/model-file.js";
import { decodeWeights } from "./decode-weights.js";
import { readBytes, readSafetensorsFile, type SafetensorsFile } from "./safetensors-file.js";
import {
  damaged,
  WEIGHT_DTYPE_BYTES,
  type SafetensorsEntry,
  type WeightDType,
} from "./safetensors-header.js";

/** A weight of a model and where its bytes lie. */
export interface WeightEntry extends SafetensorsEntry {
  readonly dtype: WeightDType;
  /** Real path of the file that holds it. */
  readonly file: string;
}

/** Base models are stored without the name of the module around them (`h.0.…` instead of `transformer.h.0.…`). */
const WRAPPER_PREFIXES = ["model.", "transformer."];

/** The weights of a Hugging Face directory: one `model.safetensors`, or the shards of `model.safetensors.index.json`.
 * Only headers are held in memory; bytes are read when asked for. */
export class CheckpointWeights {
  readonly #entries: ReadonlyMap<string, SafetensorsEntry & { readonly file: string }>;

  private constructor(entries: ReadonlyMap<string, SafetensorsEntry & { readonly file: string }>) {
    this.#entries = entries;
  }

  /** @throws TandemError NOT_FOUND when there are no weights or a shard is missing, DATA_LOSS when a file is damaged. */
  static async open(dir: string): Promise<CheckpointWeights> {
    const entries = new Map<string, SafetensorsEntry & { readonly file: string }>();
    for (const { path, entries: found } of await openFiles(dir)) {
      for (const entry of found) entries.set(entry.name, { ...entry, file: path });
    }
    return new CheckpointWeights(entries);
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()].sort();
  }

  /** Sum of the weights' sizes in the files. */
  get sizeBytes(): number {
    return [...this.#entries.values()].reduce((sum, entry) => sum + entry.byteLength, 0);
  }

  /** Finds a weight by the name that `transformers` gives it in the model with a language-modelling head;
   * checkpoints of the bare model, without the prefix, are understood too. */
  find(name: string): WeightEntry | undefined {
    const entry = this.#entries.get(name) ?? this.#entries.get(withoutWrapper(name));
    if (entry === undefined) return undefined;
    if (!Object.hasOwn(WEIGHT_DTYPE_BYTES, entry.dtype)) {
      throw new TandemError(
        "UNIMPLEMENTED",
        `weight "${name}" is stored as ${entry.dtype}; F32, F16 and BF16 are supported, so save an unquantised checkpoint`,
        { field: "model" },
      );
    }
    return entry as WeightEntry;
  }

  /** As `find`, but what is missing or has another shape is an error.
   * @throws TandemError DATA_LOSS naming the weight. */
  require(name: string, shape: readonly number[]): WeightEntry {
    const entry = this.find(name);
    if (entry === undefined) {
      throw new TandemError(
        "DATA_LOSS",
        `the checkpoint has no weight "${name}" (expected [${shape.join(",")}])`,
        {
          field: "model",
        },
      );
    }
    if (entry.shape.length !== shape.length || entry.shape.some((d, i) => d !== shape[i])) {
      throw damaged(
        entry.file,
        `weight "${name}" has shape [${entry.shape.join(",")}], config.json asks for [${shape.join(",")}]`,
      );
    }
    return entry;
  }

  /** One weight as f32, whatever it is stored as; `rows` cuts the first axis. */
  async read(entry: WeightEntry, rows?: number): Promise<Float32Array> {
    const byteLength =
      rows === undefined ? entry.byteLength : (entry.byteLength / (entry.shape[0] ?? 1)) * rows;
    const handle = await open(entry.file, "r");
    try {
      return decodeWeights(
        await readBytes(handle, entry.offset, byteLength, entry.file),
        entry.dtype,
      );
    } finally {
      await handle.close();
    }
  }

  /** SHA-256 (hex) over names, types, shapes and bytes of all tensors in the order of their names:
   * the same for one file or many shards. Reads everything once, in pieces. */
  async digest(): Promise<string> {
    const hash = createHash("sha256");
    for (const name of this.names) {
      const entry = this.#entries.get(name)!;
      hash.update(`${name}\0${entry.dtype}\0${entry.shape.join(",")}\0`);
      const handle = await open(entry.file, "r");
      try {
        for (let done = 0; done < entry.byteLength; done += DIGEST_PIECE_BYTES) {
          const length = Math.min(DIGEST_PIECE_BYTES, entry.byteLength - done);
          hash.update(await readBytes(handle, entry.offset + done, length, entry.file));
        }
      } finally {
        await handle.close();
      }
    }
    return hash.digest("hex");
  }
}

const INDEX = "model.safetensors.index.json";
/** Far above what is in use: a mixture of experts with 60,000 tensors has 6 MB. */
const MAX_INDEX_BYTES = 128 << 20;

const DIGEST_PIECE_BYTES = 8 << 20;

function withoutWrapper(name: string): string {
  const prefix = WRAPPER_PREFIXES.find((p) => name.startsWith(p));
  return prefix === undefined ? name : name.slice(prefix.length);
}

async function openFiles(dir: string): Promise<SafetensorsFile[]> {
  const single = await findModelFile(dir, "model.safetensors");
  if (single !== undefined) return [await readSafetensorsFile(single)];
  const index = join(dir, INDEX);
  const json = await readModelJson(dir, INDEX, MAX_INDEX_BYTES);
  if (json === undefined) {
    throw new TandemError(
      "NOT_FOUND",
      `${dir} has neither model.safetensors nor ${INDEX}; only safetensors weights are read, so save the model with safe_serialization`,
      { field: "model" },
    );
  }
  const weightMap = parseIndex(json, index);
  const files = new Map<string, SafetensorsFile>();
  for (const base of new Set(weightMap.values())) {
    files.set(base, await readSafetensorsFile((await findModelFile(dir, base)) ?? join(dir, base)));
  }
  const present = new Map([...files].map(([base, { entries }]) => [base, namesOf(entries)]));
  for (const [name, base] of weightMap) {
    if (present.get(base)?.has(name) !== true) {
      throw damaged(
        join(dir, base),
        `the index names the weight "${name}" in it, but it is not there`,
      );
    }
  }
  return [...files.values()];
}

function namesOf(entries: readonly SafetensorsEntry[]): ReadonlySet<string> {
  return new Set(entries.map(({ name }) => name));
}

function parseIndex(json: unknown, path: string): Map<string, string> {
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  const pairs = typeof map === "object" && map !== null ? Object.entries(map) : [];
  // A base name only: an index must not reach outside its directory.
  if (
    pairs.length === 0 ||
    pairs.some(([, file]) => typeof file !== "string" || !/^[^/\\]+\.safetensors$/.test(file))
  ) {
    throw damaged(
      path,
      "the index has no weight_map of tensor names to *.safetensors files beside it",
    );
  }
  return new Map(pairs);
}
