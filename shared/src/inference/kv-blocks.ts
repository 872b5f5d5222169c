import { invariant } from "../errors/invariant.js";
import type { KvBucket } from "./kv-bucket.js";
import type { KvShape } from "./kv-shape.js";

/** Positions per block: a prefix is reused in multiples of this. */
export const KV_BLOCK = 16;

/** Bytes of one block: f32, all layers. */
export function kvBlockBytes({ layers, kvHeads, headDim }: KvShape): number {
  return 2 * 4 * layers * kvHeads * headDim * KV_BLOCK;
}

/** Keys and values of stretches of KV_BLOCK positions, kept beside the slots for sequences that begin alike. Whoever plans the steps numbers the blocks
 * and so decides how many there are; what they say is known there, here is only their content. */
export class KvBlocks {
  readonly #shape: KvShape;
  readonly #blocks = new Map<number, Float32Array>();

  constructor(shape: KvShape) {
    this.#shape = shape;
  }

  has(block: number): boolean {
    return this.#blocks.has(block);
  }

  save(block: number, bucket: KvBucket, { slot, start }: { slot: number; start: number }): void {
    let content = this.#blocks.get(block);
    if (content === undefined) {
      content = new Float32Array(kvBlockBytes(this.#shape) / 4);
      this.#blocks.set(block, content);
    }
    bucket.copyOut({ slot, start, count: KV_BLOCK }, content);
  }

  load(block: number, bucket: KvBucket, { slot, start }: { slot: number; start: number }): void {
    const content = this.#blocks.get(block);
    invariant(content !== undefined, `block ${block} was saved`);
    bucket.copyIn({ slot, start, count: KV_BLOCK }, content);
  }

  clear(): void {
    this.#blocks.clear();
  }
}
