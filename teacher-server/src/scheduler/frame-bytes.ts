/** Bytes of all arrays in a signal frame: what a signal takes, without the tags and lengths of the message around it. */
export function frameBytes(frame: object): number {
  let total = 0;
  for (const value of Object.values(frame)) {
    if (value instanceof Uint8Array) total += value.byteLength;
    else if (typeof value === "object" && value !== null) total += frameBytes(value);
  }
  return total;
}
