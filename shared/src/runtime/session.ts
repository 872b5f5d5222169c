/** A compiled graph that computes. The engine behind it is chosen by whoever creates it. */
import type { HostTensor } from "./host-tensor.js";

/** null: the session allocates the result. A tensor: the result is written into its buffer, which may be that of a feed (in-place update). */
export type Fetches = Readonly<Record<string, HostTensor | null>>;

export interface Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** Computes the named results. Occupies the thread while it runs.
   * @throws INVALID_ARGUMENT for names or shapes that do not fit, INTERNAL for what fails in the engine. */
  run(
    feeds: Readonly<Record<string, HostTensor>>,
    fetches: Fetches | readonly string[],
  ): Promise<Readonly<Record<string, HostTensor>>>;
  close(): Promise<void>;
}

export interface SessionOptions {
  /** Threads inside one operation. */
  readonly threads: number;
  /** Directory of the files that parameters lie in (real path, not a symlink). */
  readonly externalDataDir?: string;
  /** Bytes of parameters that are in memory instead, by their `location`; they are copied. */
  readonly externalData?: ReadonlyMap<string, Uint8Array>;
  /** Default `all`. */
  readonly optimization?: "disabled" | "basic" | "extended" | "all";
  /** Reuse memory between runs through an arena; off returns it at once. Default true. */
  readonly arena?: boolean;
  /** Plan one allocation per combination of input sizes. Default false: besides the arena's blocks it took half as much memory again, and sizes rarely repeat. */
  readonly memoryPattern?: boolean;
  /** Within a run, threads that wait look for work for 100 µs before they sleep: steps of a few rows take a quarter less time, large ones a tenth.
   * Default false: cores are shared with other processes. */
  readonly spin?: boolean;
  /** Write a Chrome trace of each operation's time, with this file prefix. */
  readonly profilePrefix?: string;
}
