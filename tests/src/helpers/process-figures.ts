import { existsSync, readdirSync, readFileSync } from "node:fs";

/** What a process holds, as Linux counts it. */
export interface ProcessFigures {
  readonly rssMiB: number;
  readonly threads: number;
  readonly descriptors: number;
}

/** Undefined where there is no /proc, or no such process. */
export function processFigures(pid: number): ProcessFigures | undefined {
  const dir = `/proc/${pid}`;
  if (!existsSync(`${dir}/status`)) return undefined;
  const status = readFileSync(`${dir}/status`, "utf8");
  const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return {
    rssMiB: number("VmRSS") / 1024,
    threads: number("Threads"),
    descriptors: readdirSync(`${dir}/fd`).length,
  };
}
