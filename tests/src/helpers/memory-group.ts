import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const HOG = fileURLToPath(new URL("./memory-hog.js", import.meta.url));

/** So many that none of them is the largest process of the group. */
const HOGS = 4;

/** Names of the same things in the two versions of control groups. */
const VERSIONS = [
  {
    root: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    swap: "memory.memsw.limit_in_bytes",
    events: "memory.oom_control",
  },
  {
    root: "/sys/fs/cgroup",
    limit: "memory.max",
    swap: "memory.swap.max",
    events: "memory.events",
  },
] as const;

type Version = (typeof VERSIONS)[number];

let made = 0;

/** A control group with a memory limit: the kernel kills a process of it when they want more together. */
export class MemoryGroup {
  readonly #dir: string;
  readonly #version: Version;

  /** @throws Error that says why the machine does not let us: no Linux, no root, no memory controller. */
  constructor(limitBytes: number) {
    const reasons: string[] = [];
    for (const version of VERSIONS) {
      const dir = join(version.root, `tandem-${process.pid}-${made}`);
      try {
        mkdirSync(dir);
      } catch (error) {
        reasons.push((error as Error).message);
        continue;
      }
      if (existsSync(join(dir, version.limit))) {
        made++;
        this.#dir = dir;
        this.#version = version;
        this.#limit(limitBytes);
        return;
      }
      rmdirSync(dir);
      reasons.push(`${version.root} has no memory controller`);
    }
    throw new Error(`control groups cannot be made: ${reasons.join("; ")}`);
  }

  /** The command line that runs this one within the group, under the same process id. */
  wrap(command: readonly string[]): readonly string[] {
    const script = 'echo $$ > "$0" && exec "$@"';
    return ["sh", "-c", script, join(this.#dir, "cgroup.procs"), ...command];
  }

  /** How many processes of the group the kernel has killed so far. */
  get kills(): number {
    return readKills(this.#eventsFile);
  }

  /** Takes memory within the group until the kernel has killed somebody for it. Resolves when it has, and the memory is free again. */
  async exhaust(): Promise<void> {
    const before = this.kills;
    const [command = "", ...args] = this.wrap([process.execPath, HOG, this.#eventsFile]);
    const hogs = Array.from({ length: HOGS }, () =>
      once(spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] }), "exit"),
    );
    const ends = await Promise.all(hogs);
    if (this.kills === before) throw new Error(`nobody was killed: ${ends.join("; ")}`);
  }

  /** When all of its processes have ended. */
  remove(): void {
    rmdirSync(this.#dir);
  }

  get #eventsFile(): string {
    return join(this.#dir, this.#version.events);
  }

  #limit(bytes: number): void {
    writeFileSync(join(this.#dir, this.#version.limit), String(bytes));
    const swap = join(this.#dir, this.#version.swap);
    // Version 1 counts memory and swap together.
    if (existsSync(swap)) writeFileSync(swap, String(swap.includes("memsw") ? bytes : 0));
  }
}

/** Why there can be no MemoryGroup on this machine; undefined where there can. */
export function memoryGroupObstacle(): string | undefined {
  try {
    new MemoryGroup(2 ** 20).remove();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The count `oom_kill` of a file of events. */
export function readKills(eventsFile: string): number {
  return Number(/^oom_kill (\d+)/m.exec(readFileSync(eventsFile, "utf8"))?.[1]);
}
