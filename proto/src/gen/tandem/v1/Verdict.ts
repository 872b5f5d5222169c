// Original file: proto/tandem/v1/teacher.proto

import type { SignalFrame as _tandem_v1_SignalFrame, SignalFrame__Output as _tandem_v1_SignalFrame__Output } from '../../tandem/v1/SignalFrame.js';
import type { Finish as _tandem_v1_Finish, Finish__Output as _tandem_v1_Finish__Output } from '../../tandem/v1/Finish.js';
import type { Usage as _tandem_v1_Usage, Usage__Output as _tandem_v1_Usage__Output } from '../../tandem/v1/Usage.js';

/**
 * Kept are the first `accepted` drafts and then the replacement, if there is one. Nothing behind it survives.
 * There is no bonus token after a block that was accepted whole.
 */
export interface Verdict {
  'sequence'?: (number);
  'start'?: (number);
  'accepted'?: (number);
  /**
   * The teacher's token in place of draft[accepted].
   */
  'replacement'?: (number);
  /**
   * u32: ranks of the drafts through the first rejected one (not of drafts behind a stop).
   */
  'draftRanks'?: (Buffer | Uint8Array | string);
  /**
   * The signal of the kept positions; its `from` counts from the start of the prompt. A large verdict comes as several messages with
   * the same sequence and start: every field but `frames` is set in all of them.
   */
  'frames'?: (_tandem_v1_SignalFrame)[];
  'last'?: (boolean);
  'finish'?: (_tandem_v1_Finish);
  'usage'?: (_tandem_v1_Usage | null);
  '_replacement'?: "replacement";
}

/**
 * Kept are the first `accepted` drafts and then the replacement, if there is one. Nothing behind it survives.
 * There is no bonus token after a block that was accepted whole.
 */
export interface Verdict__Output {
  'sequence': (number);
  'start': (number);
  'accepted': (number);
  /**
   * The teacher's token in place of draft[accepted].
   */
  'replacement'?: (number);
  /**
   * u32: ranks of the drafts through the first rejected one (not of drafts behind a stop).
   */
  'draftRanks': (Buffer);
  /**
   * The signal of the kept positions; its `from` counts from the start of the prompt. A large verdict comes as several messages with
   * the same sequence and start: every field but `frames` is set in all of them.
   */
  'frames': (_tandem_v1_SignalFrame__Output)[];
  'last': (boolean);
  'finish': (_tandem_v1_Finish__Output);
  'usage': (_tandem_v1_Usage__Output | null);
  '_replacement'?: "replacement";
}
