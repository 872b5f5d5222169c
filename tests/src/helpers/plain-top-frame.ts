import { crc32 } from "node:zlib";

/** Top lists as the frame holds them: gaps in steps, the first of each list 0. */
export interface PlainLists {
  readonly topK: number;
  readonly vocabSize: number;
  readonly step: number;
  readonly maxError: number;
  /** Bits of a gap in each group of eight list places. */
  readonly widths: readonly number[];
  readonly rows: readonly PlainRow[];
}

interface PlainRow {
  readonly first: number;
  readonly gaps: readonly number[];
  readonly ids: readonly number[];
}

/** A COMPACT frame of top lists, bit by bit as docs/wire-format.md has it. `damage` replaces the bytes of the escapes. */
export function plainTopFrame(lists: PlainLists, damage?: readonly number[]): Buffer {
  const { topK, vocabSize, step, maxError, widths, rows } = lists;
  const isRagged = rows.some(({ gaps }) => gaps.length !== topK);
  const idBits = Math.max(1, Math.ceil(Math.log2(vocabSize)));
  const escapes: number[] = [];
  const blocks = rows.flatMap(({ gaps }) => gapBlocks(gaps, widths, escapes));
  const header = [0x54, 0x53, 0x46, 3, 1, 0];
  const body = [
    ...header,
    ...[1, rows.length, topK, 0, vocabSize].flatMap(varint),
    ...(isRagged ? [1, ...rows.flatMap(({ gaps }) => varint(gaps.length))] : [0]),
    1,
    ...f32(step, maxError),
    ...bitStream(widths.map((width) => [width, 4])),
    ...bitStream(rows.flatMap(({ ids }) => ids.map((id) => [id, idBits] as const))),
    ...f32(...rows.map(({ first }) => first)),
    ...blocks,
    ...(damage ?? escapes),
  ];
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(Buffer.from(body)));
  return Buffer.concat([Buffer.from(body), checksum]);
}

function gapBlocks(gaps: readonly number[], widths: readonly number[], escapes: number[]) {
  const bytes: number[] = [];
  for (let place = 0; place < gaps.length; place += 8) {
    const width = widths[place / 8]!;
    const ones = 2 ** width - 1;
    const group = gaps.slice(place, place + 8);
    bytes.push(...bitStream(group.map((gap) => [Math.min(gap, ones), width])));
    for (const gap of group) if (gap >= ones) escapes.push(...varint(gap - ones));
  }
  return bytes;
}

/** The logits that such lists stand for. */
export function plainLogits({ step, rows }: PlainLists): Float32Array {
  const logits = rows.flatMap(({ first, gaps }) => {
    let steps = 0;
    return gaps.map((gap) => first - (steps += gap) * step);
  });
  return Float32Array.from(logits);
}

/** Gaps of falling logits, each to the nearest multiple of the step below the first. */
export function plainGaps(logits: readonly number[], step: number): number[] {
  const steps = logits.map((logit) => Math.floor((logits[0]! - logit) * (1 / step) + 0.5));
  return steps.map((below, i) => below - (steps[i - 1] ?? 0));
}

/** For each group the width of 1 to 15 bits that costs least, the wider of two: a gap its width; an escape a varint of one, two or three bytes
 * beside, by the bits of the gap + 1, and two bits for the reader's trouble. Over about 1024 gaps of evenly spaced rows. */
export function plainWidths(rows: readonly (readonly number[])[], topK: number): number[] {
  const total = rows.reduce((sum, gaps) => sum + gaps.length, 0);
  const stride = Math.max(1, Math.floor(total / 1024));
  const sample = rows.filter((_, row) => row % stride === 0);
  return Array.from({ length: Math.ceil(topK / 8) }, (_, group) => {
    const gaps = sample.flatMap((row) => row.slice(8 * group, 8 * group + 8));
    const costOf = (width: number) =>
      gaps.reduce((sum, gap) => {
        const bits = (gap + 1).toString(2).length;
        const bytes = bits > 14 ? 3 : bits > 7 ? 2 : 1;
        return sum + width + (bits > width ? 8 * bytes + 2 : 0);
      }, 0);
    const widths = Array.from({ length: 15 }, (__, i) => 15 - i);
    return widths.reduce((best, width) => (costOf(width) < costOf(best) ? width : best));
  });
}

/** LEB128. */
export function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function f32(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

/** Numbers of so many bits, the lowest first, padded to a byte. */
function bitStream(numbers: readonly (readonly [number, number])[]): number[] {
  const bits = numbers.flatMap(([value, width]) =>
    Array.from({ length: width }, (_, i) => Math.floor(value / 2 ** i) % 2),
  );
  return Array.from({ length: Math.ceil(bits.length / 8) }, (_, byte) =>
    bits.slice(8 * byte, 8 * byte + 8).reduce((sum, bit, i) => sum + bit * 2 ** i, 0),
  );
}
