// Original file: proto/tandem/v1/teacher.proto

import type { SignalFrame as _tandem_v1_SignalFrame, SignalFrame__Output as _tandem_v1_SignalFrame__Output } from '../../tandem/v1/SignalFrame.js';
import type { Finish as _tandem_v1_Finish, Finish__Output as _tandem_v1_Finish__Output } from '../../tandem/v1/Finish.js';
import type { Usage as _tandem_v1_Usage, Usage__Output as _tandem_v1_Usage__Output } from '../../tandem/v1/Usage.js';

export interface GenerateChunk {
  'sequence'?: (number);
  /**
   * Response-relative position of the first token.
   */
  'start'?: (number);
  /**
   * u32.
   */
  'tokens'?: (Buffer | Uint8Array | string);
  'frames'?: (_tandem_v1_SignalFrame)[];
  /**
   * Set in the last chunk of the sequence.
   */
  'finish'?: (_tandem_v1_Finish);
  'usage'?: (_tandem_v1_Usage | null);
}

export interface GenerateChunk__Output {
  'sequence': (number);
  /**
   * Response-relative position of the first token.
   */
  'start': (number);
  /**
   * u32.
   */
  'tokens': (Buffer);
  'frames': (_tandem_v1_SignalFrame__Output)[];
  /**
   * Set in the last chunk of the sequence.
   */
  'finish': (_tandem_v1_Finish__Output);
  'usage': (_tandem_v1_Usage__Output | null);
}
