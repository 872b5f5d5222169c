import { readdir } from "node:fs/promises";

export interface CheckpointName {
  readonly name: string;
  readonly step: number;
}

/** `step-000123`. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(6, "0")}`;
}

/** The finished checkpoints in a directory, oldest first; none when it does not exist. */
export async function listCheckpoints(dir: string): Promise<readonly CheckpointName[]> {
  const names = await readdir(dir).catch(() => []);
  return names
    .flatMap((name) => {
      const match = /^step-(\d+)$/.exec(name);
      return match === null ? [] : [{ name, step: Number(match[1]) }];
    })
    .sort((a, b) => a.step - b.step);
}
