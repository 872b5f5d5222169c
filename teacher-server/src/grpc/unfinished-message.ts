/** A message in gRPC's framing: a byte that says whether it is packed, its size in four bytes, big-endian. */
const HEADER_BYTES = 5;

/** Objects around a piece of a message. */
const PIECE_BYTES = 256;

/** Follows the framing of one stream and says how much memory its unfinished message takes: gRPC gathers the pieces until the last one is there, and
 * nobody hears of it before. A piece keeps the whole buffer alive that it was read in. */
export class UnfinishedMessage {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerHas = 0;
  #bodyLeft = 0;
  #heldBytes = 0;
  #lastBuffer: ArrayBufferLike | undefined;

  /** 0 between messages. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Takes what came next; true if that ended a message. */
  add(piece: Buffer): boolean {
    let ended = false;
    let at = 0;
    while (at < piece.length) {
      at = this.#headerHas < HEADER_BYTES ? this.#readHeader(piece, at) : this.#readBody(piece, at);
      if (this.#headerHas < HEADER_BYTES || this.#bodyLeft > 0) continue;
      ended = true;
      this.#headerHas = 0;
      this.#heldBytes = 0;
      this.#lastBuffer = undefined;
    }
    if (this.#headerHas > 0) this.#hold(piece);
    return ended;
  }

  #readHeader(piece: Buffer, at: number): number {
    const take = piece.copy(this.#header, this.#headerHas, at, at + HEADER_BYTES - this.#headerHas);
    this.#headerHas += take;
    if (this.#headerHas === HEADER_BYTES) this.#bodyLeft = this.#header.readUInt32BE(1);
    return at + take;
  }

  #readBody(piece: Buffer, at: number): number {
    const take = Math.min(this.#bodyLeft, piece.length - at);
    this.#bodyLeft -= take;
    return at + take;
  }

  #hold({ buffer }: Buffer): void {
    this.#heldBytes += PIECE_BYTES + (buffer === this.#lastBuffer ? 0 : buffer.byteLength);
    this.#lastBuffer = buffer;
  }
}
