import { TandemError } from "@tandem/shared/errors/tandem-error.js";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Checks the outermost fields of an encoded message without decoding it. An empty item takes two bytes on the wire and a kilobyte when
 * decoded: their number is limited before that. Groups, which the contract does not have, could nest without end and are refused.
 * @throws TandemError INVALID_ARGUMENT with the limit, DATA_LOSS for bytes that are no message. */
export function assertFrugal(bytes: Uint8Array, maxEntries: number): void {
  let at = 0;
  let entries = 0;
  while (at < bytes.length) {
    let tag: number;
    [tag, at] = readVarint(bytes, at);
    switch (tag & 7) {
      case VARINT:
        [, at] = readVarint(bytes, at);
        break;
      case FIXED64:
        at += 8;
        break;
      case FIXED32:
        at += 4;
        break;
      case BYTES: {
        let size: number;
        [size, at] = readVarint(bytes, at);
        at += size;
        if (++entries > maxEntries) throw tooMany(maxEntries);
        break;
      }
      default:
        throw damaged(`a field of wire type ${tag & 7}`);
    }
    if (at > bytes.length) throw damaged("a field that goes beyond its end");
  }
}

/** A varint below 2^32 and the position behind it; longer ones (negative numbers) are cut to their low bits. */
function readVarint(bytes: Uint8Array, start: number): [value: number, at: number] {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) throw damaged("a number that goes beyond its end");
    if (i < 5) value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return [value, start + i + 1];
  }
  throw damaged("a number of more than ten bytes");
}

function tooMany(limit: number): TandemError {
  return new TandemError(
    "INVALID_ARGUMENT",
    `one message has more than ${limit} items; send several messages`,
    { field: "items", limit },
  );
}

function damaged(what: string): TandemError {
  return new TandemError("DATA_LOSS", `the message has ${what}`);
}
