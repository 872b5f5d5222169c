import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { UnfinishedMessage } from "@tandem/teacher-server/grpc/unfinished-message.js";

function framed(size: number): Buffer {
  const message = Buffer.alloc(5 + size, 7);
  message.writeUInt8(0, 0);
  message.writeUInt32BE(size, 1);
  return message;
}

/** In pieces that have buffers of their own, as if each was read alone. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] as number;
    pieces.push(Buffer.from(new Uint8Array(bytes.subarray(at, at + length)).buffer));
    at += length;
  }
  return pieces;
}

describe("UnfinishedMessage", () => {
  it("holds what has come of the message that has not ended, however the bytes come", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 }),
        (sizes, lengths) => {
          const bytes = Buffer.concat(sizes.map(framed));
          const ends = sizes.map((_, i) =>
            sizes.slice(0, i + 1).reduce((sum, size) => sum + 5 + size, 0),
          );
          const message = new UnfinishedMessage();
          const pieces = cut(bytes, lengths);
          let [read, first, held] = [0, 0, 0];
          pieces.forEach((piece, i) => {
            const before = read;
            read += piece.length;
            const ended = ends.some((end) => end > before && end <= read);
            assert.equal(message.add(piece), ended);
            if (ended) first = i;
            // Of the pieces that the unfinished message lies in, all bytes and 256 each.
            const whole = ends.includes(read);
            held = whole
              ? 0
              : pieces.slice(first, i + 1).reduce((sum, p) => sum + p.length + 256, 0);
            assert.equal(message.heldBytes, held);
            if (whole) first = i + 1;
          });
          assert.equal(held, 0);
        },
      ),
      { seed: 20261129 },
    );
  });

  it("counts the buffer that several pieces were read in once", () => {
    const bytes = framed(100);
    const alone = new Uint8Array(bytes).buffer;
    const message = new UnfinishedMessage();
    message.add(Buffer.from(alone, 0, 10));
    message.add(Buffer.from(alone, 10, 20));
    assert.equal(message.heldBytes, 105 + 2 * 256);
  });
});
