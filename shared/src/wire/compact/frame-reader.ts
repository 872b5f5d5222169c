import { TandemError } from "../../errors/tandem-error.js";
import { readF32, readU16 } from "../little-endian.js";
import { CHECKSUM_BYTES } from "./layout.js";

/** Up to here a loop beats the three objects of a copy. */
const FEW_NUMBERS = 48;

/** Reads a frame that nobody vouches for, in place: every read is checked against the end before anything is allocated. */
export class FrameReader {
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly view: DataView;
  /** Where the parts end. */
  readonly end: number;
  position = 0;

  /** frame: with its checksum. */
  constructor(frame: Uint8Array) {
    // no Buffer, whose parts cost more
    this.bytes = new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength);
    this.view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    this.end = frame.length - CHECKSUM_BYTES;
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
    const byte = this.bytes[this.position] as number;
    if (this.position < this.end && byte < 0x80) {
      this.position++;
      return byte;
    }
    return this.longVarint(part);
  }

  private longVarint(part: string): number {
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

  f32(part: string): number {
    this.need(4, part);
    const value = this.view.getFloat32(this.position, true);
    this.position += 4;
    return value;
  }

  i32(part: string): number {
    this.need(4, part);
    const value = this.view.getInt32(this.position, true);
    this.position += 4;
    return value;
  }

  f32Array(count: number, part: string): Float32Array {
    this.need(4 * count, part);
    const start = this.position;
    this.position += 4 * count;
    if (count > FEW_NUMBERS) return readF32(this.bytes, start, count);
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = this.view.getFloat32(start + 4 * i, true);
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
}

export function damaged(what: string): never {
  throw new TandemError("DATA_LOSS", `compact signal frame is damaged: ${what}`);
}
