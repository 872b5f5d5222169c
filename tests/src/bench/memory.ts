import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startLiveServer } from "../helpers/live-server.js";
import { fuzzLoad } from "../helpers/load-fuzz.js";
import { writeWideModel } from "../helpers/wide-model.js";

const MIB = 2 ** 20;

/** All kinds of work at once, in sizes up to the limits and beyond, against a server with --memory-limit: its largest memory, dead engines and lost
 * answers. `--limit-mib 1536 --rounds 10 --clients 12 --items 200 --vocabulary 32768`. `--cgroup /sys/fs/cgroup` (as root; of version 1:
 * /sys/fs/cgroup/memory) also lets the kernel enforce the limit. Ends with an error when a bound is broken. */
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
      cgroup: { type: "string" },
    },
    strict: false,
  });
  const limitBytes = Number(values["limit-mib"]) * MIB;
  const vocabSize = Number(values.vocabulary);
  const contextLength = 512;
  const model = await writeWideModel({ vocabSize, contextLength });
  const cap = typeof values.cgroup === "string" ? new Cap(values.cgroup, limitBytes) : undefined;
  cap?.enter();
  const server = await startLiveServer({
    model,
    args: `--memory-limit ${limitBytes} --kv-cache-memory-bytes ${32 * MIB} --prefix-cache-memory-bytes ${16 * MIB} --max-num-batched-tokens 128`.split(
      " ",
    ),
  });
  cap?.leave();
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
    cap?.remove();
    rmSync(model, { recursive: true });
  }
  return { limitMiB: limitBytes / MIB, rounds };
}

/** A control group with a memory limit; processes started between `enter` and `leave` stay in it. */
class Cap {
  readonly #parent: string;
  readonly #dir: string;

  constructor(parent: string, limitBytes: number) {
    this.#parent = parent;
    this.#dir = join(parent, `tandem-bench-${process.pid}`);
    mkdirSync(this.#dir);
    const limit = ["memory.max", "memory.limit_in_bytes"].find((name) =>
      existsSync(join(this.#dir, name)),
    );
    if (limit === undefined) throw new Error(`${parent} has no memory controller`);
    writeFileSync(join(this.#dir, limit), String(limitBytes));
  }

  enter(): void {
    writeFileSync(join(this.#dir, "cgroup.procs"), String(process.pid));
  }

  leave(): void {
    writeFileSync(join(this.#parent, "cgroup.procs"), String(process.pid));
  }

  remove(): void {
    rmdirSync(this.#dir);
  }
}
