// Original file: proto/tandem/v1/signal.proto


export interface HiddenState {
  'layer'?: (number);
  /**
   * f16 [n,D], D = `Describe.hidden_size`; of queries `query_width`, of keys and values `key_width`.
   */
  'values'?: (Buffer | Uint8Array | string);
}

export interface HiddenState__Output {
  'layer': (number);
  /**
   * f16 [n,D], D = `Describe.hidden_size`; of queries `query_width`, of keys and values `key_width`.
   */
  'values': (Buffer);
}
