import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { deserialize } from "node:v8";
import { decodeWeights } from "@tandem/shared/checkpoint/decode-weights.js";
import { readBytes, readSafetensorsFile } from "@tandem/shared/checkpoint/safetensors-file.js";
import type { SafetensorsEntry } from "@tandem/shared/checkpoint/safetensors-header.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Moments } from "../optim/adamw.js";
import type { RolloutBatch } from "../rollout/rollout.js";
import { listCheckpoints } from "./checkpoint-names.js";
import { loadStudent } from "./load-student.js";
import { parseRunState, type RunState } from "./run-state.js";
import { LOSS_PARAMETERS_FILE, type CheckpointContent } from "./save-checkpoint.js";
import type { NamedValues } from "./student-model.js";

/** The newest checkpoint of a directory. @throws TandemError NOT_FOUND when there is none, DATA_LOSS when it is damaged. */
export async function loadLatestCheckpoint(dir: string): Promise<CheckpointContent> {
  return loadCheckpoint(await latestIn(dir));
}

/** What the newest checkpoint says of itself, without its tensors. @throws as `loadLatestCheckpoint`. */
export async function loadLatestState(dir: string): Promise<RunState> {
  return loadState(await latestIn(dir));
}

async function latestIn(dir: string): Promise<string> {
  const latest = (await listCheckpoints(dir)).at(-1);
  if (latest === undefined) {
    throw new TandemError("NOT_FOUND", `there is no checkpoint in ${dir}; start without --resume`);
  }
  return join(dir, latest.name);
}

async function loadState(path: string): Promise<RunState> {
  const statePath = join(path, "state.json");
  return parseRunState(await readFile(statePath, "utf8"), statePath);
}

export async function loadCheckpoint(path: string): Promise<CheckpointContent> {
  const state = await loadState(path);
  const model = await loadStudent(path);
  const owned = await readLossParameters(path);
  const moments = await readTensors(join(path, "optimizer.safetensors"), (read) =>
    readMomentsOf(read, [...model.weights.keys()]),
  );
  return {
    model,
    state,
    lossParameters: owned.lossParameters,
    moments: new Map([...moments, ...owned.moments]),
    batches: await readBatches(join(path, "rollouts.bin")),
  };
}

/** Reads tensors of one file by name. */
type TensorReader = (name: string) => Promise<Float32Array>;

async function readTensors<T>(
  path: string,
  use: (read: TensorReader, entries: readonly SafetensorsEntry[]) => Promise<T>,
): Promise<T> {
  const file = await readSafetensorsFile(path);
  const entries = new Map(file.entries.map((entry) => [entry.name, entry]));
  const handle = await open(file.path, "r");
  const read = async (name: string): Promise<Float32Array> => {
    const entry = entries.get(name);
    if (entry === undefined)
      throw new TandemError(
        "DATA_LOSS",
        `${path} has no tensor "${name}"; use an older checkpoint`,
      );
    return decodeWeights(await readBytes(handle, entry.offset, entry.byteLength, path), "F32");
  };
  try {
    return await use(read, file.entries);
  } finally {
    await handle.close();
  }
}

async function readMomentsOf(
  read: TensorReader,
  names: readonly string[],
): Promise<ReadonlyMap<string, Moments>> {
  const moments = new Map<string, Moments>();
  for (const name of names) {
    moments.set(name, {
      first: await read(`${name}.first`),
      second: await read(`${name}.second`),
    });
  }
  return moments;
}

interface LossParameters {
  readonly lossParameters: readonly NamedValues[];
  readonly moments: ReadonlyMap<string, Moments>;
}

/** What the losses own, if they own anything. */
async function readLossParameters(dir: string): Promise<LossParameters> {
  const files = await readdir(dir);
  if (!files.includes(LOSS_PARAMETERS_FILE)) return { lossParameters: [], moments: new Map() };
  return readTensors(join(dir, LOSS_PARAMETERS_FILE), async (read, entries) => {
    const own = entries.filter(({ name }) => !/\.(first|second)$/.test(name));
    const lossParameters: NamedValues[] = [];
    for (const { name, shape } of own)
      lossParameters.push({ name, shape, values: await read(name) });
    const names = own.map(({ name }) => name);
    return { lossParameters, moments: await readMomentsOf(read, names) };
  });
}

async function readBatches(path: string): Promise<readonly RolloutBatch[]> {
  try {
    return deserialize(await readFile(path)) as readonly RolloutBatch[];
  } catch (cause) {
    throw new TandemError("DATA_LOSS", `${path} is damaged; use an older checkpoint`, { cause });
  }
}
