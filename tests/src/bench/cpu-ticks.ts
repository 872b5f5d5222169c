import { readFileSync } from "node:fs";

/** Processor time used by these processes so far, in the kernel's ticks; NaN where there is no /proc. */
export function cpuTicks(pids: readonly number[]): number {
  try {
    return pids.reduce((sum, pid) => {
      // The second field, the program's name, may hold spaces; user and system time are fields 14 and 15.
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return sum + Number(fields[11]) + Number(fields[12]);
    }, 0);
  } catch {
    return NaN;
  }
}
