import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { AcceptanceRule as _tandem_v1_AcceptanceRule, AcceptanceRule__Output as _tandem_v1_AcceptanceRule__Output } from './tandem/v1/AcceptanceRule.js';
import type { CompactSignal as _tandem_v1_CompactSignal, CompactSignal__Output as _tandem_v1_CompactSignal__Output } from './tandem/v1/CompactSignal.js';
import type { DescribeRequest as _tandem_v1_DescribeRequest, DescribeRequest__Output as _tandem_v1_DescribeRequest__Output } from './tandem/v1/DescribeRequest.js';
import type { DescribeResponse as _tandem_v1_DescribeResponse, DescribeResponse__Output as _tandem_v1_DescribeResponse__Output } from './tandem/v1/DescribeResponse.js';
import type { Divergence as _tandem_v1_Divergence, Divergence__Output as _tandem_v1_Divergence__Output } from './tandem/v1/Divergence.js';
import type { Draft as _tandem_v1_Draft, Draft__Output as _tandem_v1_Draft__Output } from './tandem/v1/Draft.js';
import type { GenerateChunk as _tandem_v1_GenerateChunk, GenerateChunk__Output as _tandem_v1_GenerateChunk__Output } from './tandem/v1/GenerateChunk.js';
import type { GenerateItem as _tandem_v1_GenerateItem, GenerateItem__Output as _tandem_v1_GenerateItem__Output } from './tandem/v1/GenerateItem.js';
import type { GenerateRequest as _tandem_v1_GenerateRequest, GenerateRequest__Output as _tandem_v1_GenerateRequest__Output } from './tandem/v1/GenerateRequest.js';
import type { GenerateResponse as _tandem_v1_GenerateResponse, GenerateResponse__Output as _tandem_v1_GenerateResponse__Output } from './tandem/v1/GenerateResponse.js';
import type { HiddenState as _tandem_v1_HiddenState, HiddenState__Output as _tandem_v1_HiddenState__Output } from './tandem/v1/HiddenState.js';
import type { InterleaveRequest as _tandem_v1_InterleaveRequest, InterleaveRequest__Output as _tandem_v1_InterleaveRequest__Output } from './tandem/v1/InterleaveRequest.js';
import type { InterleaveResponse as _tandem_v1_InterleaveResponse, InterleaveResponse__Output as _tandem_v1_InterleaveResponse__Output } from './tandem/v1/InterleaveResponse.js';
import type { ItemError as _tandem_v1_ItemError, ItemError__Output as _tandem_v1_ItemError__Output } from './tandem/v1/ItemError.js';
import type { Limits as _tandem_v1_Limits, Limits__Output as _tandem_v1_Limits__Output } from './tandem/v1/Limits.js';
import type { Open as _tandem_v1_Open, Open__Output as _tandem_v1_Open__Output } from './tandem/v1/Open.js';
import type { PlainSignal as _tandem_v1_PlainSignal, PlainSignal__Output as _tandem_v1_PlainSignal__Output } from './tandem/v1/PlainSignal.js';
import type { Sampling as _tandem_v1_Sampling, Sampling__Output as _tandem_v1_Sampling__Output } from './tandem/v1/Sampling.js';
import type { ScoreItem as _tandem_v1_ScoreItem, ScoreItem__Output as _tandem_v1_ScoreItem__Output } from './tandem/v1/ScoreItem.js';
import type { ScoreRequest as _tandem_v1_ScoreRequest, ScoreRequest__Output as _tandem_v1_ScoreRequest__Output } from './tandem/v1/ScoreRequest.js';
import type { ScoreResponse as _tandem_v1_ScoreResponse, ScoreResponse__Output as _tandem_v1_ScoreResponse__Output } from './tandem/v1/ScoreResponse.js';
import type { ScoreResult as _tandem_v1_ScoreResult, ScoreResult__Output as _tandem_v1_ScoreResult__Output } from './tandem/v1/ScoreResult.js';
import type { SignalFrame as _tandem_v1_SignalFrame, SignalFrame__Output as _tandem_v1_SignalFrame__Output } from './tandem/v1/SignalFrame.js';
import type { SignalSpec as _tandem_v1_SignalSpec, SignalSpec__Output as _tandem_v1_SignalSpec__Output } from './tandem/v1/SignalSpec.js';
import type { Stale as _tandem_v1_Stale, Stale__Output as _tandem_v1_Stale__Output } from './tandem/v1/Stale.js';
import type { TeacherClient as _tandem_v1_TeacherClient, TeacherDefinition as _tandem_v1_TeacherDefinition } from './tandem/v1/Teacher.js';
import type { Usage as _tandem_v1_Usage, Usage__Output as _tandem_v1_Usage__Output } from './tandem/v1/Usage.js';
import type { Verdict as _tandem_v1_Verdict, Verdict__Output as _tandem_v1_Verdict__Output } from './tandem/v1/Verdict.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  tandem: {
    v1: {
      AcceptanceRule: MessageTypeDefinition<_tandem_v1_AcceptanceRule, _tandem_v1_AcceptanceRule__Output>
      CompactSignal: MessageTypeDefinition<_tandem_v1_CompactSignal, _tandem_v1_CompactSignal__Output>
      DenseType: EnumTypeDefinition
      DescribeRequest: MessageTypeDefinition<_tandem_v1_DescribeRequest, _tandem_v1_DescribeRequest__Output>
      DescribeResponse: MessageTypeDefinition<_tandem_v1_DescribeResponse, _tandem_v1_DescribeResponse__Output>
      Divergence: MessageTypeDefinition<_tandem_v1_Divergence, _tandem_v1_Divergence__Output>
      Draft: MessageTypeDefinition<_tandem_v1_Draft, _tandem_v1_Draft__Output>
      Encoding: EnumTypeDefinition
      ErrorCode: EnumTypeDefinition
      Finish: EnumTypeDefinition
      GenerateChunk: MessageTypeDefinition<_tandem_v1_GenerateChunk, _tandem_v1_GenerateChunk__Output>
      GenerateItem: MessageTypeDefinition<_tandem_v1_GenerateItem, _tandem_v1_GenerateItem__Output>
      GenerateRequest: MessageTypeDefinition<_tandem_v1_GenerateRequest, _tandem_v1_GenerateRequest__Output>
      GenerateResponse: MessageTypeDefinition<_tandem_v1_GenerateResponse, _tandem_v1_GenerateResponse__Output>
      HiddenState: MessageTypeDefinition<_tandem_v1_HiddenState, _tandem_v1_HiddenState__Output>
      InterleaveRequest: MessageTypeDefinition<_tandem_v1_InterleaveRequest, _tandem_v1_InterleaveRequest__Output>
      InterleaveResponse: MessageTypeDefinition<_tandem_v1_InterleaveResponse, _tandem_v1_InterleaveResponse__Output>
      ItemError: MessageTypeDefinition<_tandem_v1_ItemError, _tandem_v1_ItemError__Output>
      Limits: MessageTypeDefinition<_tandem_v1_Limits, _tandem_v1_Limits__Output>
      Open: MessageTypeDefinition<_tandem_v1_Open, _tandem_v1_Open__Output>
      PlainSignal: MessageTypeDefinition<_tandem_v1_PlainSignal, _tandem_v1_PlainSignal__Output>
      Priority: EnumTypeDefinition
      Sampling: MessageTypeDefinition<_tandem_v1_Sampling, _tandem_v1_Sampling__Output>
      ScoreItem: MessageTypeDefinition<_tandem_v1_ScoreItem, _tandem_v1_ScoreItem__Output>
      ScoreRequest: MessageTypeDefinition<_tandem_v1_ScoreRequest, _tandem_v1_ScoreRequest__Output>
      ScoreResponse: MessageTypeDefinition<_tandem_v1_ScoreResponse, _tandem_v1_ScoreResponse__Output>
      ScoreResult: MessageTypeDefinition<_tandem_v1_ScoreResult, _tandem_v1_ScoreResult__Output>
      SignalFrame: MessageTypeDefinition<_tandem_v1_SignalFrame, _tandem_v1_SignalFrame__Output>
      SignalSpec: MessageTypeDefinition<_tandem_v1_SignalSpec, _tandem_v1_SignalSpec__Output>
      Stale: MessageTypeDefinition<_tandem_v1_Stale, _tandem_v1_Stale__Output>
      /**
       * A large language model that answers what it thinks of tokens, and which of a student's draft tokens it accepts.
       * 
       * Tokens travel as ids, never as text: `bytes` fields named `tokens`, `prompt`, `response` and the like are u32 little-endian arrays
       * (length a multiple of 4). Every id must be < `DescribeResponse.vocab_size`.
       * Errors of one item come in-band as ItemError; the stream goes on. Messages stay at or below `Limits.max_message_bytes`.
       */
      Teacher: SubtypeConstructor<typeof grpc.Client, _tandem_v1_TeacherClient> & { service: _tandem_v1_TeacherDefinition }
      Usage: MessageTypeDefinition<_tandem_v1_Usage, _tandem_v1_Usage__Output>
      Verdict: MessageTypeDefinition<_tandem_v1_Verdict, _tandem_v1_Verdict__Output>
    }
  }
}

