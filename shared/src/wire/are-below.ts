/** Whether all ids are below V. Without branches: which of two ids is larger is a coin toss that would be mispredicted. */
export function areBelow(ids: Uint32Array, vocabSize: number): boolean {
  // the same bits as signed numbers, which engines keep in registers
  const signed = new Int32Array(ids.buffer, ids.byteOffset, ids.length);
  const last = vocabSize - 1;
  // negative once an id is 2^31 or more, or above the last
  let bits = 0;
  let i = 0;
  for (const end = ids.length - 3; i < end; i += 4) {
    const a = signed[i] as number;
    const b = signed[i + 1] as number;
    const c = signed[i + 2] as number;
    const d = signed[i + 3] as number;
    bits |= a | b | c | d | (last - a) | (last - b) | (last - c) | (last - d);
  }
  for (; i < ids.length; i++) bits |= (signed[i] as number) | (last - (signed[i] as number));
  return bits >= 0;
}
