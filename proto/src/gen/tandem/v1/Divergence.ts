// Original file: proto/tandem/v1/teacher.proto


export interface Divergence {
  /**
   * KL(f32 || served) per token in nats, and how often the best token is the same, on the text shipped for that.
   */
  'meanKl'?: (number | string);
  'p99Kl'?: (number | string);
  'top1Agreement'?: (number | string);
}

export interface Divergence__Output {
  /**
   * KL(f32 || served) per token in nats, and how often the best token is the same, on the text shipped for that.
   */
  'meanKl': (number);
  'p99Kl': (number);
  'top1Agreement': (number);
}
