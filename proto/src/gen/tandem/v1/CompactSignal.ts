// Original file: proto/tandem/v1/signal.proto


export interface CompactSignal {
  /**
   * One self-describing frame: header, parts, CRC32C. Byte by byte in docs/wire-format.md.
   */
  'frame'?: (Buffer | Uint8Array | string);
}

export interface CompactSignal__Output {
  /**
   * One self-describing frame: header, parts, CRC32C. Byte by byte in docs/wire-format.md.
   */
  'frame': (Buffer);
}
