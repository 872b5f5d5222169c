// Original file: proto/tandem/v1/teacher.proto

import type { GenerateItem as _tandem_v1_GenerateItem, GenerateItem__Output as _tandem_v1_GenerateItem__Output } from '../../tandem/v1/GenerateItem.js';
import type { Sampling as _tandem_v1_Sampling, Sampling__Output as _tandem_v1_Sampling__Output } from '../../tandem/v1/Sampling.js';
import type { SignalSpec as _tandem_v1_SignalSpec, SignalSpec__Output as _tandem_v1_SignalSpec__Output } from '../../tandem/v1/SignalSpec.js';
import type { Priority as _tandem_v1_Priority, Priority__Output as _tandem_v1_Priority__Output } from '../../tandem/v1/Priority.js';

export interface GenerateRequest {
  'items'?: (_tandem_v1_GenerateItem)[];
  'sampling'?: (_tandem_v1_Sampling | null);
  'maxResponse'?: (number);
  'stopIds'?: (number)[];
  'runSeed'?: (number);
  'signal'?: (_tandem_v1_SignalSpec | null);
  /**
   * For the whole call; 0 = none but the gRPC deadline.
   */
  'timeoutMs'?: (number);
  'priority'?: (_tandem_v1_Priority);
}

export interface GenerateRequest__Output {
  'items': (_tandem_v1_GenerateItem__Output)[];
  'sampling': (_tandem_v1_Sampling__Output | null);
  'maxResponse': (number);
  'stopIds': (number)[];
  'runSeed': (number);
  'signal': (_tandem_v1_SignalSpec__Output | null);
  /**
   * For the whole call; 0 = none but the gRPC deadline.
   */
  'timeoutMs': (number);
  'priority': (_tandem_v1_Priority__Output);
}
