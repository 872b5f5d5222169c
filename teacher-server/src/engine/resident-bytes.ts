import { readFileSync } from "node:fs";

/** Memory of another process in bytes, as Linux counts it; NaN where that cannot be known: elsewhere, or when the process is gone. */
export function residentBytes(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  } catch {
    return NaN;
  }
}
