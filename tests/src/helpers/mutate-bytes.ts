/** One way of damaging bytes, drawn at random: flipped bits, foreign bytes, a cut, bytes behind the end, a piece moved or left out. The result
 * may, rarely, be what it was. `donor` lends pieces. */
export function mutateBytes(bytes: Uint8Array, donor: Uint8Array, random: () => number): Buffer {
  const at = (size: number) => Math.floor(random() * size);
  const copy = Buffer.from(bytes);
  const one = 1 + at(3);
  switch (at(8)) {
    case 0:
      for (let i = 0; i < one && copy.length > 0; i++) copy[at(copy.length)]! ^= 1 << at(8);
      return copy;
    case 1:
      for (let i = 0; i < one && copy.length > 0; i++) copy[at(copy.length)] = at(256);
      return copy;
    case 2:
      return copy.subarray(0, at(copy.length + 1));
    case 3:
      return Buffer.concat([copy, donor.subarray(0, at(Math.min(16, donor.length) + 1))]);
    case 4: {
      // The head of one, the tail of another.
      const cut = at(copy.length + 1);
      return Buffer.concat([copy.subarray(0, cut), donor.subarray(at(donor.length + 1))]);
    }
    case 5: {
      const start = at(copy.length + 1);
      const end = start + at(copy.length - start + 1);
      return Buffer.concat([copy.subarray(0, start), copy.subarray(end)]);
    }
    case 6:
      // Numbers that are larger than anything that lies behind them.
      copy.fill(0xff, at(copy.length + 1), copy.length - at(copy.length / 2 + 1));
      return copy;
    default:
      return Buffer.from(Array.from({ length: at(64) }, () => at(256)));
  }
}
