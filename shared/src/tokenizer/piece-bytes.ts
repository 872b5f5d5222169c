import type { Json, JsonObject } from "./tokenizer-files.js";
import { addedTokensOf } from "./vocabulary.js";

/** The bytes of text that a vocabulary's entry stands for; none for special tokens. */
export type PieceBytes = (id: number, piece: string) => Uint8Array;

const UTF8 = new TextEncoder();
const NO_BYTES = new Uint8Array(0);
const BYTE_PIECE = /^<0x([0-9A-Fa-f]{2})>$/;

/** How a tokenizer.json spells bytes: GPT-2's printable stand-ins (ByteLevel), or plain text with "▁" for a space and `<0xNN>` for a byte
 * (SentencePiece). Added tokens are spelled as they are. */
export function pieceBytes(tokenizer: JsonObject): PieceBytes {
  const added = new Map(addedTokensOf(tokenizer).map(({ id, special }) => [id, special]));
  const spell = isByteLevel(tokenizer) ? byteLevelBytes : plainBytes(tokenizer);
  return (id, piece) => {
    const special = added.get(id);
    if (special === undefined) return spell(piece);
    return special ? NO_BYTES : UTF8.encode(piece);
  };
}

function isByteLevel({ decoder, pre_tokenizer: splitter }: JsonObject): boolean {
  return mentions(decoder, "ByteLevel") || mentions(splitter, "ByteLevel");
}

/** Does a decoder, or one of a sequence, have this type? */
function mentions(value: Json | undefined, type: string): boolean {
  return JSON.stringify(value ?? null).includes(`"type":"${type}"`);
}

function plainBytes({ decoder }: JsonObject): (piece: string) => Uint8Array {
  const replaces = JSON.stringify(decoder ?? null).includes("▁");
  const spaced = replaces || mentions(decoder, "Metaspace");
  return (piece) => {
    const byte = BYTE_PIECE.exec(piece);
    if (byte !== null) return Uint8Array.of(Number.parseInt(byte[1]!, 16));
    return UTF8.encode(spaced ? piece.replaceAll("▁", " ") : piece);
  };
}

/** Each character stands for one byte; a piece with any other character is text. */
function byteLevelBytes(piece: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of piece) {
    const byte = BYTE_OF.get(character);
    if (byte === undefined) return UTF8.encode(piece);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** GPT-2's table: bytes that print stand for themselves, the others for the characters from U+0100 on, in order. */
const BYTE_OF: ReadonlyMap<string, number> = new Map(byteTable());

function byteTable(): [string, number][] {
  const prints = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => [
    String.fromCodePoint(prints(byte) ? byte : next++),
    byte,
  ]);
}
