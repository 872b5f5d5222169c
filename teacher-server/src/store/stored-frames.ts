import { crc32 } from "node:zlib";
import { loadTeacherProto } from "@tandem/proto/load-teacher-proto.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { EncodedFrame } from "../scheduler/engine-step.js";

/** `TSF1` */
const MAGIC = 0x31465354;
const HEADER_BYTES = 12;

const { responseSerialize, responseDeserialize } = loadTeacherProto().Teacher.service.Score;

/** Frames as bytes: magic, CRC-32 of all that follows, number of frames, u32 size of each as the frames know it, a ScoreResponse with one result. */
export function toStoredBytes(frames: readonly EncodedFrame[]): Buffer {
  const message = responseSerialize({
    results: [{ frames: frames.map((frame) => frame.message) }],
  });
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + 4 * frames.length + message.length);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(frames.length, 8);
  frames.forEach(({ sizeBytes }, i) => bytes.writeUInt32LE(sizeBytes, HEADER_BYTES + 4 * i));
  message.copy(bytes, HEADER_BYTES + 4 * frames.length);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

/** The frames again; undefined for bytes that are not what was written. */
export function fromStoredBytes(bytes: Buffer): readonly EncodedFrame[] | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) return undefined;
  if (crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) return undefined;
  try {
    return parseFrames(bytes);
  } catch {
    // A right checksum over something else.
    return undefined;
  }
}

function parseFrames(bytes: Buffer): readonly EncodedFrame[] | undefined {
  const count = bytes.readUInt32LE(8);
  // The message keeps views of these bytes.
  const body = bytes.subarray(HEADER_BYTES + 4 * count);
  const { results } = responseDeserialize(body) as ScoreResponse__Output;
  const messages = results[0]?.frames ?? [];
  if (messages.length !== count) return undefined;
  return messages.map((message, i) => ({
    message,
    sizeBytes: bytes.readUInt32LE(HEADER_BYTES + 4 * i),
  }));
}
