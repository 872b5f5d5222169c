// Original file: proto/tandem/v1/teacher.proto

import type { Limits as _tandem_v1_Limits, Limits__Output as _tandem_v1_Limits__Output } from '../../tandem/v1/Limits.js';
import type { Divergence as _tandem_v1_Divergence, Divergence__Output as _tandem_v1_Divergence__Output } from '../../tandem/v1/Divergence.js';

export interface DescribeResponse {
  /**
   * The served name (`--served-model-name`).
   */
  'model'?: (string);
  /**
   * Version of the server program.
   */
  'serverVersion'?: (string);
  /**
   * `sha256:` + hex over the weights and what config.json says of the arithmetic with them.
   */
  'weightsDigest'?: (string);
  /**
   * Names build, provider, instruction set and precision. Equal ids (and digests) promise equal bits for equal requests.
   */
  'numericsId'?: (string);
  /**
   * `llama`, `qwen2`, `qwen3`, `gpt2`, ...
   */
  'architecture'?: (string);
  /**
   * V: largest tokenizer id + 1. Ids and dense rows have this bound.
   */
  'vocabSize'?: (number);
  /**
   * Rows of the checkpoint's embedding; >= vocab_size when padded.
   */
  'paddedVocabSize'?: (number);
  /**
   * `sha256:` + hex over vocabulary, merges, added tokens and normalisation; equal fingerprints tokenise equally.
   */
  'tokenizerFingerprint'?: (string);
  /**
   * Positions a sequence may have, prompt and response together (`--max-model-len`).
   */
  'contextLength'?: (number);
  /**
   * D, and the number of blocks: what `hidden_layers` may ask for.
   */
  'hiddenSize'?: (number);
  'layers'?: (number);
  /**
   * Precision of weights and arithmetic: `f32`, `int8` or `int4`.
   */
  'dtype'?: (string);
  /**
   * Ids that end a text according to the checkpoint.
   */
  'eosIds'?: (number)[];
  'limits'?: (_tandem_v1_Limits | null);
  /**
   * Names of the signal parts this server can give: `top`, `lse`, `taus`, `token`, `at`, `moments`, `draws`, `draw_weights` (`draw_temperature`),
   * `dense`, `hidden`, `projections` (queries, keys and values among `hidden_layers`).
   */
  'signalParts'?: (string)[];
  /**
   * How far the served precision lies from float32. Absent for f32 itself.
   */
  'divergence'?: (_tandem_v1_Divergence | null);
  /**
   * The text whose SHA-256 `tokenizer_fingerprint` is, one `name value` a line: model, vocabulary size, a digest for every 256 ids, merges,
   * added tokens, normalizer, pre_tokenizer. Compare it with your own to say where tokenizers differ. Empty without a tokenizer.
   */
  'tokenizerManifest'?: (string);
  /**
   * Widths of a block's queries, and of its keys and values each: heads times the width of a head.
   */
  'queryWidth'?: (number);
  'keyWidth'?: (number);
  '_divergence'?: "divergence";
}

export interface DescribeResponse__Output {
  /**
   * The served name (`--served-model-name`).
   */
  'model': (string);
  /**
   * Version of the server program.
   */
  'serverVersion': (string);
  /**
   * `sha256:` + hex over the weights and what config.json says of the arithmetic with them.
   */
  'weightsDigest': (string);
  /**
   * Names build, provider, instruction set and precision. Equal ids (and digests) promise equal bits for equal requests.
   */
  'numericsId': (string);
  /**
   * `llama`, `qwen2`, `qwen3`, `gpt2`, ...
   */
  'architecture': (string);
  /**
   * V: largest tokenizer id + 1. Ids and dense rows have this bound.
   */
  'vocabSize': (number);
  /**
   * Rows of the checkpoint's embedding; >= vocab_size when padded.
   */
  'paddedVocabSize': (number);
  /**
   * `sha256:` + hex over vocabulary, merges, added tokens and normalisation; equal fingerprints tokenise equally.
   */
  'tokenizerFingerprint': (string);
  /**
   * Positions a sequence may have, prompt and response together (`--max-model-len`).
   */
  'contextLength': (number);
  /**
   * D, and the number of blocks: what `hidden_layers` may ask for.
   */
  'hiddenSize': (number);
  'layers': (number);
  /**
   * Precision of weights and arithmetic: `f32`, `int8` or `int4`.
   */
  'dtype': (string);
  /**
   * Ids that end a text according to the checkpoint.
   */
  'eosIds': (number)[];
  'limits': (_tandem_v1_Limits__Output | null);
  /**
   * Names of the signal parts this server can give: `top`, `lse`, `taus`, `token`, `at`, `moments`, `draws`, `draw_weights` (`draw_temperature`),
   * `dense`, `hidden`, `projections` (queries, keys and values among `hidden_layers`).
   */
  'signalParts': (string)[];
  /**
   * How far the served precision lies from float32. Absent for f32 itself.
   */
  'divergence'?: (_tandem_v1_Divergence__Output | null);
  /**
   * The text whose SHA-256 `tokenizer_fingerprint` is, one `name value` a line: model, vocabulary size, a digest for every 256 ids, merges,
   * added tokens, normalizer, pre_tokenizer. Compare it with your own to say where tokenizers differ. Empty without a tokenizer.
   */
  'tokenizerManifest': (string);
  /**
   * Widths of a block's queries, and of its keys and values each: heads times the width of a head.
   */
  'queryWidth': (number);
  'keyWidth': (number);
  '_divergence'?: "divergence";
}
