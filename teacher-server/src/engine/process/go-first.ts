import { readFileSync, writeFileSync } from "node:fs";

const FILE = "/proc/self/oom_score_adj";

/** Half of the memory: so much larger than the engine would the server have to be. */
const AHEAD = 500;
const HIGHEST = 1000;

/** Tells the kernel to take this process when memory runs out, not the one that would start it again. Relative to what the server has been given
 * by systemd or a container. Everybody may raise their own; where there is no such file (not Linux) or it is read-only, the larger one goes. */
export function goFirst(): void {
  try {
    const inherited = Number(readFileSync(FILE, "utf8"));
    writeFileSync(FILE, String(Math.min(HIGHEST, inherited + AHEAD)));
  } catch {
    // Nothing depends on it but who is taken.
  }
}
