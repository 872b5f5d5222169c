import { createWriteStream, type WriteStream } from "node:fs";
import type { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";

/** A line of the audit log: who called, how much it was, how it ended. Never what it was about. */
export interface AuditEntry {
  /** The client's name; empty for a caller who was not let in. */
  readonly client: string;
  /** `host:port`. */
  readonly peer: string;
  /** `/tandem.v1.Teacher/Score`. */
  readonly call: string;
  readonly code: "OK" | TandemError["code"];
  readonly durationMs: number;
  /** Items answered, and those of them that were refused. */
  readonly items: number;
  readonly refused: number;
  /** Positions sent through the model, and tokens kept of Interleave and Generate are not told apart here. */
  readonly positions: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** Lines beyond this wait for a disk that does not take them; more are counted and dropped, since memory is worth more. */
const MAX_WAITING_BYTES = 8 << 20;

/** Appends JSON lines to a file. Safe with rotation by copy-and-truncate. */
export class AuditLog {
  readonly #stream: WriteStream;
  #dropped = 0;

  constructor(path: string, logger: Logger) {
    this.#stream = createWriteStream(path, { flags: "a", mode: 0o600 });
    this.#stream.on("error", (error) =>
      logger.error({ event: "audit.failed", err: error }, `cannot write the audit log ${path}`),
    );
  }

  write(entry: AuditEntry): void {
    if (this.#stream.writableLength > MAX_WAITING_BYTES) {
      this.#dropped++;
      return;
    }
    const dropped = this.#dropped > 0 ? { dropped: this.#dropped } : {};
    this.#dropped = 0;
    const line = { time: new Date().toISOString(), ...entry, ...dropped };
    this.#stream.write(`${JSON.stringify(line)}\n`);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#stream.on("error", () => resolve());
      this.#stream.end(() => resolve());
    });
  }
}
