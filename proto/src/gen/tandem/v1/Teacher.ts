// Original file: proto/tandem/v1/teacher.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DescribeRequest as _tandem_v1_DescribeRequest, DescribeRequest__Output as _tandem_v1_DescribeRequest__Output } from '../../tandem/v1/DescribeRequest.js';
import type { DescribeResponse as _tandem_v1_DescribeResponse, DescribeResponse__Output as _tandem_v1_DescribeResponse__Output } from '../../tandem/v1/DescribeResponse.js';
import type { GenerateRequest as _tandem_v1_GenerateRequest, GenerateRequest__Output as _tandem_v1_GenerateRequest__Output } from '../../tandem/v1/GenerateRequest.js';
import type { GenerateResponse as _tandem_v1_GenerateResponse, GenerateResponse__Output as _tandem_v1_GenerateResponse__Output } from '../../tandem/v1/GenerateResponse.js';
import type { InterleaveRequest as _tandem_v1_InterleaveRequest, InterleaveRequest__Output as _tandem_v1_InterleaveRequest__Output } from '../../tandem/v1/InterleaveRequest.js';
import type { InterleaveResponse as _tandem_v1_InterleaveResponse, InterleaveResponse__Output as _tandem_v1_InterleaveResponse__Output } from '../../tandem/v1/InterleaveResponse.js';
import type { ScoreRequest as _tandem_v1_ScoreRequest, ScoreRequest__Output as _tandem_v1_ScoreRequest__Output } from '../../tandem/v1/ScoreRequest.js';
import type { ScoreResponse as _tandem_v1_ScoreResponse, ScoreResponse__Output as _tandem_v1_ScoreResponse__Output } from '../../tandem/v1/ScoreResponse.js';

/**
 * A large language model that answers what it thinks of tokens, and which of a student's draft tokens it accepts.
 * 
 * Tokens travel as ids, never as text: `bytes` fields named `tokens`, `prompt`, `response` and the like are u32 little-endian arrays
 * (length a multiple of 4). Every id must be < `DescribeResponse.vocab_size`.
 * Errors of one item come in-band as ItemError; the stream goes on. Messages stay at or below `Limits.max_message_bytes`.
 */
export interface TeacherClient extends grpc.Client {
  /**
   * What this server is. Call it first and compare `tokenizer_fingerprint`.
   */
  Describe(argument: _tandem_v1_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_tandem_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  Describe(argument: _tandem_v1_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_tandem_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  Describe(argument: _tandem_v1_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_tandem_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  Describe(argument: _tandem_v1_DescribeRequest, callback: grpc.requestCallback<_tandem_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  /**
   * What this server is. Call it first and compare `tokenizer_fingerprint`.
   */
  describe(argument: _tandem_v1_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_tandem_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  describe(argument: _tandem_v1_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_tandem_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  describe(argument: _tandem_v1_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_tandem_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  describe(argument: _tandem_v1_DescribeRequest, callback: grpc.requestCallback<_tandem_v1_DescribeResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * The teacher writes responses by itself, with the same signal for its tokens.
   */
  Generate(argument: _tandem_v1_GenerateRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_tandem_v1_GenerateResponse__Output>;
  Generate(argument: _tandem_v1_GenerateRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_tandem_v1_GenerateResponse__Output>;
  /**
   * The teacher writes responses by itself, with the same signal for its tokens.
   */
  generate(argument: _tandem_v1_GenerateRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_tandem_v1_GenerateResponse__Output>;
  generate(argument: _tandem_v1_GenerateRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_tandem_v1_GenerateResponse__Output>;
  
  /**
   * Speculative knowledge distillation: teacher and student write sequences together. A session lives on its stream and dies with it; the
   * client holds the tokens and re-opens lost sessions (prompt + response so far), here or on another replica, with the same result.
   */
  Interleave(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_tandem_v1_InterleaveRequest, _tandem_v1_InterleaveResponse__Output>;
  Interleave(options?: grpc.CallOptions): grpc.ClientDuplexStream<_tandem_v1_InterleaveRequest, _tandem_v1_InterleaveResponse__Output>;
  /**
   * Speculative knowledge distillation: teacher and student write sequences together. A session lives on its stream and dies with it; the
   * client holds the tokens and re-opens lost sessions (prompt + response so far), here or on another replica, with the same result.
   */
  interleave(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_tandem_v1_InterleaveRequest, _tandem_v1_InterleaveResponse__Output>;
  interleave(options?: grpc.CallOptions): grpc.ClientDuplexStream<_tandem_v1_InterleaveRequest, _tandem_v1_InterleaveResponse__Output>;
  
  /**
   * What the teacher thinks of given sequences. Many items may be in flight on one stream; results come as soon as each is ready, in any
   * order, named by the client's id. Half-close when nothing more is to be asked; the server ends the stream after the last answer.
   */
  Score(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_tandem_v1_ScoreRequest, _tandem_v1_ScoreResponse__Output>;
  Score(options?: grpc.CallOptions): grpc.ClientDuplexStream<_tandem_v1_ScoreRequest, _tandem_v1_ScoreResponse__Output>;
  /**
   * What the teacher thinks of given sequences. Many items may be in flight on one stream; results come as soon as each is ready, in any
   * order, named by the client's id. Half-close when nothing more is to be asked; the server ends the stream after the last answer.
   */
  score(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_tandem_v1_ScoreRequest, _tandem_v1_ScoreResponse__Output>;
  score(options?: grpc.CallOptions): grpc.ClientDuplexStream<_tandem_v1_ScoreRequest, _tandem_v1_ScoreResponse__Output>;
  
}

/**
 * A large language model that answers what it thinks of tokens, and which of a student's draft tokens it accepts.
 * 
 * Tokens travel as ids, never as text: `bytes` fields named `tokens`, `prompt`, `response` and the like are u32 little-endian arrays
 * (length a multiple of 4). Every id must be < `DescribeResponse.vocab_size`.
 * Errors of one item come in-band as ItemError; the stream goes on. Messages stay at or below `Limits.max_message_bytes`.
 */
export interface TeacherHandlers extends grpc.UntypedServiceImplementation {
  /**
   * What this server is. Call it first and compare `tokenizer_fingerprint`.
   */
  Describe: grpc.handleUnaryCall<_tandem_v1_DescribeRequest__Output, _tandem_v1_DescribeResponse>;
  
  /**
   * The teacher writes responses by itself, with the same signal for its tokens.
   */
  Generate: grpc.handleServerStreamingCall<_tandem_v1_GenerateRequest__Output, _tandem_v1_GenerateResponse>;
  
  /**
   * Speculative knowledge distillation: teacher and student write sequences together. A session lives on its stream and dies with it; the
   * client holds the tokens and re-opens lost sessions (prompt + response so far), here or on another replica, with the same result.
   */
  Interleave: grpc.handleBidiStreamingCall<_tandem_v1_InterleaveRequest__Output, _tandem_v1_InterleaveResponse>;
  
  /**
   * What the teacher thinks of given sequences. Many items may be in flight on one stream; results come as soon as each is ready, in any
   * order, named by the client's id. Half-close when nothing more is to be asked; the server ends the stream after the last answer.
   */
  Score: grpc.handleBidiStreamingCall<_tandem_v1_ScoreRequest__Output, _tandem_v1_ScoreResponse>;
  
}

export interface TeacherDefinition extends grpc.ServiceDefinition {
  Describe: MethodDefinition<_tandem_v1_DescribeRequest, _tandem_v1_DescribeResponse, _tandem_v1_DescribeRequest__Output, _tandem_v1_DescribeResponse__Output>
  Generate: MethodDefinition<_tandem_v1_GenerateRequest, _tandem_v1_GenerateResponse, _tandem_v1_GenerateRequest__Output, _tandem_v1_GenerateResponse__Output>
  Interleave: MethodDefinition<_tandem_v1_InterleaveRequest, _tandem_v1_InterleaveResponse, _tandem_v1_InterleaveRequest__Output, _tandem_v1_InterleaveResponse__Output>
  Score: MethodDefinition<_tandem_v1_ScoreRequest, _tandem_v1_ScoreResponse, _tandem_v1_ScoreRequest__Output, _tandem_v1_ScoreResponse__Output>
}
