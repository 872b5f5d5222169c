import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(
  new URL("../../../student-trainer/bin/student-trainer.mjs", import.meta.url),
);

export interface TrainerRun {
  readonly process: ChildProcess;
  /** Exit code (null when killed by a signal) and everything that was written. */
  readonly done: Promise<{
    readonly code: number | null;
    readonly stdout: string;
    readonly stderr: string;
  }>;
  /** Resolves when stderr has a line that matches. */
  readonly seen: (pattern: RegExp) => Promise<void>;
}

/** Starts the real `student-trainer` program. */
export function startTrainer(args: readonly string[]): TrainerRun {
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  const watchers = new Set<() => void>();
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
    for (const watch of watchers) watch();
  });
  const done = new Promise<number | null>((resolve) => child.once("close", resolve)).then(
    (code) => ({ code, stdout, stderr }),
  );
  return {
    process: child,
    done,
    seen: (pattern) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          if (!pattern.test(stderr)) return;
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
        watch();
        void done.then(() => reject(new Error(`ended without ${pattern}:\n${stderr}`)));
      }),
  };
}

/** Runs `student-trainer` to its end. */
export function runTrainer(...args: readonly string[]): TrainerRun["done"] {
  return startTrainer(args).done;
}
