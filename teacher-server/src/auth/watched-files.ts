import { statSync } from "node:fs";

export interface WatchedFilesOptions {
  readonly paths: readonly string[];
  /** How often their times are looked at. Polling sees what events miss: replaced links (Kubernetes secrets), network file systems. */
  readonly intervalMs: number;
  readonly onChange: () => void;
}

/** Tells when one of a few small files (certificates, the list of clients) was written, replaced or linked elsewhere. */
export class WatchedFiles {
  readonly #options: WatchedFilesOptions;
  readonly #timer: NodeJS.Timeout;
  #seen: string;

  constructor(options: WatchedFilesOptions) {
    this.#options = options;
    this.#seen = this.#stamp();
    this.#timer = setInterval(() => this.check(), options.intervalMs).unref();
  }

  /** Looks now. */
  check(): void {
    const stamp = this.#stamp();
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    this.#options.onChange();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #stamp(): string {
    return this.#options.paths.map(stampOf).join("\n");
  }
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? "missing" : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}`;
}
