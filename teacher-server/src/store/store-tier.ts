/** A place where finished signals are kept, by 32-byte keys. It may forget anything at any time, and be away; it never throws. */
export interface StoreTier {
  readonly name: "disk" | "redis";
  /** Of entries, where they are this server's alone. */
  readonly usedBytes?: number;
  readonly get: (key: Buffer) => Promise<Buffer | undefined>;
  /** Written some time later, or not at all. */
  readonly put: (key: Buffer, value: Buffer) => void;
  /** Everything put before is written, as far as that is possible. */
  readonly close: () => Promise<void>;
}
