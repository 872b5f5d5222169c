// Original file: proto/tandem/v1/teacher.proto


export interface GenerateItem {
  'sequence'?: (number);
  'rngKey'?: (number);
  /**
   * u32 [P], P >= 1.
   */
  'prompt'?: (Buffer | Uint8Array | string);
}

export interface GenerateItem__Output {
  'sequence': (number);
  'rngKey': (number);
  /**
   * u32 [P], P >= 1.
   */
  'prompt': (Buffer);
}
