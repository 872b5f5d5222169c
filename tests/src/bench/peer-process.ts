import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Where a peer's script lies. */
export function peerScript(name: string): string {
  return fileURLToPath(new URL(`../../peers/${name}`, import.meta.url));
}

/** Another program's side of a bench that takes turns: one JSON object a line there, one back. It is stopped but for its own turns: its threads
 * wait for work by spinning, which cost whoever came after it up to a quarter of the time. */
export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<void>;
  readonly #script: string;

  /** script: a file of tests/peers. */
  constructor(python: string, script: string) {
    this.#script = script;
    // A process group of its own: vLLM's engine is a process besides.
    this.#child = spawn(python, [peerScript(script)], {
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#closed = new Promise((resolve) => this.#child.once("close", () => resolve()));
  }

  /** The answer to one question; between two of them the peer stands still.
   * @throws Error when the program ended instead. */
  async ask(question: object): Promise<unknown> {
    this.#signal("SIGCONT");
    this.#child.stdin!.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.#script} ended early`);
    this.#signal("SIGSTOP");
    return JSON.parse(value);
  }

  async close(): Promise<void> {
    this.#signal("SIGCONT");
    this.#child.stdin?.end();
    await this.#closed;
  }

  #signal(signal: "SIGSTOP" | "SIGCONT"): void {
    const { pid, exitCode } = this.#child;
    if (pid !== undefined && exitCode === null) process.kill(-pid, signal);
  }
}
