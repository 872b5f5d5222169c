import { TandemError } from "../../errors/tandem-error.js";
import { readF32, readU16, readU32 } from "../little-endian.js";

/** Reads a frame that nobody vouches for: every read is checked against the end before anything is allocated. */
export class FrameReader {
  readonly bytes: Uint8Array;
  /** The same bytes as 32-bit words, with two words of zeros behind them, so that bit readers may look past the end. */
  readonly words: Int32Array;
  /** Where the parts end. */
  readonly end: number;
  position = 0;

  constructor(frame: Uint8Array, end: number) {
    this.words = new Int32Array(((end + 3) >>> 2) + 2);
    this.bytes = new Uint8Array(this.words.buffer);
    this.bytes.set(frame.subarray(0, end));
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  /** @throws TandemError DATA_LOSS if fewer bytes are left. */
  need(bytes: number, part: string): void {
    if (!(bytes <= this.remaining)) {
      damaged(`${part} needs ${Math.ceil(bytes)} bytes where ${this.remaining} are left`);
    }
  }

  u8(part: string): number {
    this.need(1, part);
    return this.bytes[this.position++] as number;
  }

  varint(part: string): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8(part);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    return damaged(`${part} holds a number above 32 bits`);
  }

  u32(part: string): number {
    this.need(4, part);
    const value = readU32(this.bytes, this.position, 1)[0] as number;
    this.position += 4;
    return value;
  }

  f32(part: string): number {
    return this.f32Array(1, part)[0] as number;
  }

  f32Array(count: number, part: string): Float32Array {
    this.need(4 * count, part);
    const values = readF32(this.bytes, this.position, count);
    this.position += 4 * count;
    return values;
  }

  u16Array(count: number, part: string): Uint16Array {
    this.need(2 * count, part);
    const values = readU16(this.bytes, this.position, count);
    this.position += 2 * count;
    return values;
  }

  nibbles(count: number, part: string): Uint8Array {
    this.need((count + 1) >>> 1, part);
    const values = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      const byte = this.bytes[this.position + (i >>> 1)] as number;
      values[i] = i & 1 ? byte >>> 4 : byte & 15;
    }
    this.position += (count + 1) >>> 1;
    return values;
  }

  /** Moves behind a bit stream that ended at `bit` (counted from the start of the frame), padded to a byte. */
  endBits(bit: number, part: string): void {
    const position = Math.floor((bit + 7) / 8); // not a shift: damaged streams can run past 2^31 bits
    if (position > this.end) damaged(`${part} runs past the end`);
    this.position = position;
  }
}

export function damaged(what: string): never {
  throw new TandemError("DATA_LOSS", `compact signal frame is damaged: ${what}`);
}
