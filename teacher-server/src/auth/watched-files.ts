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
    this.#timer = setInterval(() => {
      if (this.#stamp() !== this.#seen) this.takeForChanged();
    }, options.intervalMs).unref();
  }

  /** Tells now, whatever their times say. */
  takeForChanged(): void {
    this.#seen = this.#stamp();
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
