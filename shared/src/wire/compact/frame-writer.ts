/** A growing buffer. Grids are written by their codec straight into `bytes`; what lies behind `length` is undefined. */
export class FrameWriter {
  bytes = new Uint8Array(0);
  view = new DataView(this.bytes.buffer);
  /** Bytes written. */
  length = 0;

  /** Makes room for `extra` bytes behind `length`. */
  reserve(extra: number): void {
    const needed = this.length + extra;
    if (needed <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, 2 * this.bytes.length, 4096));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.length, value, true);
    this.length += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  f32(value: number): void {
    this.reserve(4);
    this.view.setFloat32(this.length, value, true);
    this.length += 4;
  }

  /** LEB128, unsigned. */
  varint(value: number): void {
    this.reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  varints(values: Uint32Array): void {
    for (let i = 0; i < values.length; i++) this.varint(values[i] as number);
  }

  array(values: ArrayBufferView): void {
    this.reserve(values.byteLength);
    const { buffer, byteOffset, byteLength } = values;
    const bytes =
      values instanceof Uint8Array ? values : new Uint8Array(buffer, byteOffset, byteLength);
    this.bytes.set(bytes, this.length);
    this.length += byteLength;
  }

  /** 4-bit numbers, two to a byte, the first in the low half. */
  nibbles(values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i += 2) {
      this.u8((values[i] as number) | ((values[i + 1] ?? 0) << 4));
    }
  }

  /** A copy of what was written. */
  finish(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length));
  }
}
