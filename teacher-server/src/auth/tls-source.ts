import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import { readTlsMaterial, type TlsFiles, type TlsMaterial } from "./tls-material.js";
import { WatchedFiles } from "./watched-files.js";

export interface TlsSourceOptions {
  readonly files: TlsFiles;
  readonly reloadMs: number;
  readonly logger: Logger;
}

/** The server's certificate as it is now. A file that was replaced is taken over if it is sound; a bad one leaves the old in use. */
export class TlsSource {
  readonly #options: TlsSourceOptions;
  readonly #watched: WatchedFiles;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  #material: TlsMaterial;

  /** @throws TandemError as `readTlsMaterial`. */
  constructor(options: TlsSourceOptions) {
    const { certFile, keyFile, caFile } = options.files;
    this.#options = options;
    this.#material = readTlsMaterial(options.files, Date.now());
    this.#watched = new WatchedFiles({
      paths: [certFile, keyFile, ...(caFile === undefined ? [] : [caFile])],
      intervalMs: options.reloadMs,
      onChange: () => this.#reload(),
    });
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** Hears of every new certificate. Connections that stand keep the one they began with. */
  onChange(listener: (material: TlsMaterial) => void): void {
    this.#listeners.add(listener);
  }

  /** Reads the files now. */
  reload(): void {
    this.#watched.takeForChanged();
  }

  close(): void {
    this.#watched.close();
    this.#listeners.clear();
  }

  #reload(): void {
    const { files, logger } = this.#options;
    try {
      this.#material = readTlsMaterial(files, Date.now());
    } catch (caught) {
      const error = TandemError.from(caught);
      logger.error(
        { event: "tls.reload_failed", code: error.code },
        `the old certificate stays in use: ${error.message}`,
      );
      return;
    }
    for (const listener of this.#listeners) listener(this.#material);
    const notAfter = new Date(this.#material.notAfterMs).toISOString();
    logger.info({ event: "tls.reloaded", notAfter }, "a new certificate is in use");
  }
}
