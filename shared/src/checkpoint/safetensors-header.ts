import { TandemError } from "../errors/tandem-error.js";

/** The element types that models are stored in and that we read. */
export type WeightDType = "F32" | "F16" | "BF16";

export const WEIGHT_DTYPE_BYTES: Readonly<Record<WeightDType, number>> = {
  F32: 4,
  F16: 2,
  BF16: 2,
};

/** One tensor of a safetensors file. `dtype` is kept as written: buffers of other types may lie beside the weights. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Byte offset from the beginning of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly entries: readonly SafetensorsEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** The limit of the reference implementation (safetensors 0.5, `MAX_HEADER_SIZE`). */
export const MAX_HEADER_BYTES = 100_000_000;

/** Element sizes by the format's names. */
export const DTYPE_BYTES: Readonly<Record<string, number>> = {
  ...WEIGHT_DTYPE_BYTES,
  F64: 8,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

/** Reads the JSON header of a safetensors file and checks it against the file's size.
 * json: the header's text; dataStart: where tensor bytes begin; fileBytes: size of the file.
 * @throws TandemError DATA_LOSS when the header is malformed, tensors overlap or the file ends too early; the message names the file. */
export function parseSafetensorsHeader(
  json: string,
  { file, dataStart, fileBytes }: { file: string; dataStart: number; fileBytes: number },
): SafetensorsHeader {
  const table = parseTable(json, file);
  const metadata: Record<string, string> = {};
  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(table)) {
    if (name === "__metadata__") {
      if (typeof value !== "object" || value === null)
        throw damaged(file, "its __metadata__ is no object");
      for (const [key, text] of Object.entries(value)) metadata[key] = String(text);
    } else {
      entries.push(parseEntry(name, value, { file, dataStart }));
    }
  }
  entries.sort((a, b) => a.offset - b.offset);
  checkLayout(entries, { file, dataStart, fileBytes });
  return { entries, metadata };
}

function parseTable(json: string, file: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    throw damaged(file, "its header is not JSON", cause);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw damaged(file, "its header is not a JSON object");
  }
  return parsed as Record<string, unknown>;
}

function parseEntry(
  name: string,
  value: unknown,
  { file, dataStart }: { file: string; dataStart: number },
): SafetensorsEntry {
  const { dtype, shape, data_offsets: range } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== "string" || !isNaturals(shape) || !isNaturals(range) || range.length !== 2) {
    throw damaged(file, `the entry "${name}" lacks a valid dtype, shape or data_offsets`);
  }
  const [begin, end] = range as [number, number];
  const elementBytes = Object.hasOwn(DTYPE_BYTES, dtype) ? DTYPE_BYTES[dtype] : undefined;
  if (elementBytes === undefined)
    throw damaged(file, `the entry "${name}" has the unknown dtype "${dtype}"`);
  const byteLength = shape.reduce((a, b) => a * b, elementBytes);
  if (!Number.isSafeInteger(byteLength) || end - begin !== byteLength) {
    throw damaged(
      file,
      `the entry "${name}" (${dtype} [${shape.join(",")}]) should hold ${byteLength} bytes but spans ${end - begin}`,
    );
  }
  return { name, dtype, shape, offset: dataStart + begin, byteLength };
}

function checkLayout(
  entries: readonly SafetensorsEntry[],
  { file, dataStart, fileBytes }: { file: string; dataStart: number; fileBytes: number },
): void {
  let end = dataStart;
  for (const entry of entries) {
    if (entry.offset < end)
      throw damaged(file, `the entry "${entry.name}" overlaps the one before it`);
    end = entry.offset + entry.byteLength;
    if (end > fileBytes) {
      throw damaged(
        file,
        `the file is truncated: "${entry.name}" needs ${end} bytes, the file has ${fileBytes}; download it again`,
      );
    }
  }
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((v) => Number.isSafeInteger(v) && (v as number) >= 0);
}

export function damaged(file: string, what: string, cause?: unknown): TandemError {
  return new TandemError("DATA_LOSS", `safetensors file ${file}: ${what}`, {
    cause,
    field: "model",
  });
}
