function rotateLeft(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

/** MurmurHash3_x86_32 (Appleby, public domain) of u32 words taken as little-endian bytes. Returns a u32. */
export function hash32(words: readonly number[], seed = 0): number {
  let hash = seed;
  for (const word of words) {
    let mixed = Math.imul(word, 0xcc9e2d51);
    mixed = rotateLeft(mixed, 15);
    mixed = Math.imul(mixed, 0x1b873593);
    hash ^= mixed;
    hash = rotateLeft(hash, 13);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash ^= words.length * 4;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash >>> 0;
}

/** What a rollout's random numbers are counted by: the same prompt in another epoch, or sampled twice, draws afresh. All u32. */
export function rngKeyOf(epoch: number, row: number, sample: number): number {
  return hash32([epoch, row, sample]);
}
