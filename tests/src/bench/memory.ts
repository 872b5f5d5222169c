import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startLiveServer } from "../helpers/live-server.js";
import { fuzzLoad } from "../helpers/load-fuzz.js";
import { MemoryGroup } from "../helpers/memory-group.js";
import { writeWideModel } from "../helpers/wide-model.js";

const MIB = 2 ** 20;

/** All kinds of work at once, in sizes up to the limits and beyond, against a server with --memory-limit: its largest memory, dead engines and lost
 * answers. `--limit-mib 1536 --rounds 10 --clients 12 --items 200 --vocabulary 32768`. `--model DIR` takes a real model, whose work takes longer
 * (`--clients 6 --items 6 --limit-mib 4096`); `--quantization`, `--cache-dir`, `--context 512`, `--kv-mib 32`, `--prefix-mib 16`, `--batch-tokens 128` and `--threads 1`
 * are its options. `--cgroup` (as root) also lets the kernel enforce the limit. Ends with an error when a bound is broken. */
export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: {
      "limit-mib": { type: "string", default: "1536" },
      rounds: { type: "string", default: "10" },
      clients: { type: "string", default: "12" },
      items: { type: "string", default: "200" },
      vocabulary: { type: "string", default: "32768" },
      seed: { type: "string", default: "1" },
      model: { type: "string" },
      quantization: { type: "string", default: "none" },
      "cache-dir": { type: "string", default: "" },
      context: { type: "string", default: "512" },
      "kv-mib": { type: "string", default: "32" },
      "prefix-mib": { type: "string", default: "16" },
      "batch-tokens": { type: "string", default: "128" },
      threads: { type: "string", default: "1" },
      cgroup: { type: "boolean", default: false },
    },
    strict: false,
  });
  const limitBytes = Number(values["limit-mib"]) * MIB;
  const contextLength = Number(values.context);
  const given = typeof values.model === "string" ? values.model : undefined;
  const vocabSize = given === undefined ? Number(values.vocabulary) : vocabularyOf(given);
  const model = given ?? (await writeWideModel({ vocabSize, contextLength }));
  const group = values.cgroup === true ? new MemoryGroup(limitBytes) : undefined;
  const options = {
    "memory-limit": limitBytes,
    "kv-cache-memory-bytes": Number(values["kv-mib"]) * MIB,
    "prefix-cache-memory-bytes": Number(values["prefix-mib"]) * MIB,
    "max-num-batched-tokens": values["batch-tokens"],
    "max-model-len": contextLength,
    quantization: values.quantization,
    threads: values.threads,
  };
  const server = await startLiveServer({
    model,
    args: [
      ...Object.entries(options).flatMap(([flag, value]) => [`--${flag}`, String(value)]),
      ...(values["cache-dir"] === "" ? [] : ["--cache-dir", String(values["cache-dir"])]),
    ],
    ...(group && { group }),
  });
  const rounds: object[] = [];
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      const outcome = await fuzzLoad({
        server,
        seed: Number(values.seed) + 1000 * round,
        clients: Number(values.clients),
        items: Number(values.items),
        vocabSize,
        contextLength,
      });
      rounds.push(outcome);
      const lostEngines = server.logs.filter(({ event }) => event === "engine.lost").length;
      if (outcome.lost > 0 || lostEngines > 0 || outcome.peakBytes > limitBytes) {
        throw new Error(`bound broken: ${JSON.stringify({ ...outcome, lostEngines, limitBytes })}`);
      }
    }
  } finally {
    await server.stop();
    group?.remove();
    if (given === undefined) rmSync(model, { recursive: true });
  }
  return { limitMiB: limitBytes / MIB, kernel: group !== undefined, rounds };
}

function vocabularyOf(model: string): number {
  const config = JSON.parse(readFileSync(join(model, "config.json"), "utf8")) as {
    readonly vocab_size: number;
  };
  return config.vocab_size;
}
