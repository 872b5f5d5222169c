import { KERNEL_MODULE } from "./gen/kernel-module.js";
import { GAP_GROUP } from "./layout.js";

/** The inner loops of the codec, compiled from shared/assembly/compact, where their contracts stand. */
interface Kernels {
  readIds(count: number, width: number): number;
  writeIds(count: number, width: number): number;
  readGaps(rows: number, step: number, escapeBytes: number, isContinued: boolean): number;
  readEscapeBytes(): number;
  readSteps(): number;
  quantise(rows: number, inverseStep: number, isContinued: boolean): number;
  countLengths(rows: number): void;
  writeGaps(rows: number): number;
  writtenEscapeBytes(): number;
}

type Constant =
  | "CHUNK_ENTRIES"
  | "LENGTHS"
  | "ESCAPE_DAMAGED"
  | "SPAN_TOO_LARGE"
  | "OFFSETS"
  | "MAXIMA"
  | "WIDTHS"
  | "BITS"
  | "ESCAPES"
  | "NUMBERS"
  | "LOGITS"
  | "COUNTS";

type Exports = Kernels & { readonly memory: { readonly buffer: ArrayBuffer } } & {
  readonly [name in Constant]: { readonly value: number };
};

/** As far as it is used here: the types of Node do not have it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
};

const { exports } = new WebAssembly.Instance(
  new WebAssembly.Module(Buffer.from(KERNEL_MODULE, "base64")),
);
const { memory, ...kernel } = exports as Exports;

export const kernels: Kernels = kernel;

/** Entries of lists that one call takes. A multiple of eight. */
export const CHUNK_ENTRIES = kernel.CHUNK_ENTRIES.value;

/** Counts of gaps by their bits, for each group. */
export const LENGTHS = kernel.LENGTHS.value;

/** What `readGaps` answers to damage. */
export const ESCAPE_DAMAGED = kernel.ESCAPE_DAMAGED.value;
export const SPAN_TOO_LARGE = kernel.SPAN_TOO_LARGE.value;

/** Views of the kernels' memory, which all frames share: a codec fills what its next call reads and copies what it wrote. */
export const chunkMemory = {
  offsets: new Uint32Array(memory.buffer, kernel.OFFSETS.value, CHUNK_ENTRIES + 1),
  maxima: new Float32Array(memory.buffer, kernel.MAXIMA.value, CHUNK_ENTRIES),
  widths: new Uint8Array(memory.buffer, kernel.WIDTHS.value, CHUNK_ENTRIES / GAP_GROUP),
  bits: new Uint8Array(memory.buffer, kernel.BITS.value, 3 * CHUNK_ENTRIES),
  escapes: new Uint8Array(memory.buffer, kernel.ESCAPES.value, 5 * CHUNK_ENTRIES),
  ids: new Uint32Array(memory.buffer, kernel.NUMBERS.value, CHUNK_ENTRIES),
  logits: new Float32Array(memory.buffer, kernel.LOGITS.value, CHUNK_ENTRIES),
  counts: new Uint32Array(
    memory.buffer,
    kernel.COUNTS.value,
    (LENGTHS * CHUNK_ENTRIES) / GAP_GROUP,
  ),
} as const;
