// Original file: proto/tandem/v1/teacher.proto

import type { AcceptanceRule as _tandem_v1_AcceptanceRule, AcceptanceRule__Output as _tandem_v1_AcceptanceRule__Output } from '../../tandem/v1/AcceptanceRule.js';
import type { Sampling as _tandem_v1_Sampling, Sampling__Output as _tandem_v1_Sampling__Output } from '../../tandem/v1/Sampling.js';
import type { SignalSpec as _tandem_v1_SignalSpec, SignalSpec__Output as _tandem_v1_SignalSpec__Output } from '../../tandem/v1/SignalSpec.js';
import type { Priority as _tandem_v1_Priority, Priority__Output as _tandem_v1_Priority__Output } from '../../tandem/v1/Priority.js';

/**
 * Begins (or begins again) a sequence. No answer but an ItemError if it is refused.
 */
export interface Open {
  /**
   * Chosen by the client, unique among the open sequences of the stream.
   */
  'sequence'?: (number);
  /**
   * Key of the sequence's random numbers; the same prompt opened under another key is written afresh.
   */
  'rngKey'?: (number);
  /**
   * u32 [P], P >= 1.
   */
  'prompt'?: (Buffer | Uint8Array | string);
  /**
   * u32: response tokens that are already kept; empty at first. A re-opened session continues as if it had never been lost. Its count of
   * replacements goes on from whatever its first draft says.
   */
  'response'?: (Buffer | Uint8Array | string);
  /**
   * The sequence ends with finish LENGTH when the response has this many tokens. P + max_response <= context_length.
   */
  'maxResponse'?: (number);
  /**
   * Ids that end the response, whoever wrote them; the stop itself is kept.
   */
  'stopIds'?: (number)[];
  'rule'?: (_tandem_v1_AcceptanceRule | null);
  /**
   * How the teacher writes a replacement.
   */
  'sampling'?: (_tandem_v1_Sampling | null);
  'signal'?: (_tandem_v1_SignalSpec | null);
  /**
   * Key of the run; see "Random numbers".
   */
  'runSeed'?: (number);
  /**
   * Of the sequence's drafts.
   */
  'priority'?: (_tandem_v1_Priority);
}

/**
 * Begins (or begins again) a sequence. No answer but an ItemError if it is refused.
 */
export interface Open__Output {
  /**
   * Chosen by the client, unique among the open sequences of the stream.
   */
  'sequence': (number);
  /**
   * Key of the sequence's random numbers; the same prompt opened under another key is written afresh.
   */
  'rngKey': (number);
  /**
   * u32 [P], P >= 1.
   */
  'prompt': (Buffer);
  /**
   * u32: response tokens that are already kept; empty at first. A re-opened session continues as if it had never been lost. Its count of
   * replacements goes on from whatever its first draft says.
   */
  'response': (Buffer);
  /**
   * The sequence ends with finish LENGTH when the response has this many tokens. P + max_response <= context_length.
   */
  'maxResponse': (number);
  /**
   * Ids that end the response, whoever wrote them; the stop itself is kept.
   */
  'stopIds': (number)[];
  'rule': (_tandem_v1_AcceptanceRule__Output | null);
  /**
   * How the teacher writes a replacement.
   */
  'sampling': (_tandem_v1_Sampling__Output | null);
  'signal': (_tandem_v1_SignalSpec__Output | null);
  /**
   * Key of the run; see "Random numbers".
   */
  'runSeed': (number);
  /**
   * Of the sequence's drafts.
   */
  'priority': (_tandem_v1_Priority__Output);
}
