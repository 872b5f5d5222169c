// The demo's child processes: none of them outlives it, whichever way it ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** How long a child has to end by itself before it is killed. */
const GRACE_MS = 8000;

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
let interrupted = false;

/** The program was interrupted; children have ended. */
export class Interrupted extends Error {}

/** Installs the handlers. Call once, before any child is started. */
export function guardProcesses() {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // Twice: at once.
      if (interrupted) process.exit(130);
      interrupted = true;
      void endAll();
    });
  }
  // The last resort, synchronous: an uncaught error, process.exit, the second Ctrl-C.
  process.on("exit", () => {
    for (const child of running) child.kill("SIGKILL");
  });
}

/** Starts `node ARGS`.
 * @param {readonly string[]} args
 * @param {import("node:child_process").StdioOptions} stdio */
function start(args, stdio) {
  if (interrupted) throw new Interrupted();
  const child = spawn(process.execPath, args, { stdio });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Runs `node ARGS` to its end, its output going where ours goes.
 * @param {readonly string[]} args */
export async function runNode(args) {
  const child = start(args, "inherit");
  const [code, signal] = await once(child, "exit");
  if (interrupted || code === 130) throw new Interrupted();
  if (code !== 0) throw new Error(`node ${args.join(" ")} ended with ${signal ?? `code ${code}`}`);
}

/** Starts `node ARGS` in the background and waits for a line of its standard output.
 * @param {readonly string[]} args
 * @param {RegExp} pattern
 * @returns {Promise<RegExpMatchArray>} the match; rejects when the process ends first */
export async function startNode(args, pattern) {
  const child = start(args, ["ignore", "pipe", "inherit"]);
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise((resolve) => {
    lines.on("line", (line) => {
      const match = line.match(pattern);
      if (match !== null) resolve(match);
    });
  });
  const ended = once(child, "exit").then(([code, signal]) => {
    if (interrupted) throw new Interrupted();
    throw new Error(
      `node ${args.join(" ")} ended with ${signal ?? `code ${code}`} before it was ready`,
    );
  });
  // Once ready its end is expected: endAll asks for it.
  ended.catch(() => {});
  return Promise.race([ready, ended]);
}

/** Ends every child: politely, then not. */
export async function endAll() {
  await Promise.all(
    [...running].map(async (child) => {
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
      await exited;
      clearTimeout(timer);
    }),
  );
}
