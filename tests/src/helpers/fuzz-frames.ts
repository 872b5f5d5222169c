import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { MessageTypeDefinition } from "@grpc/proto-loader";
import { loadTeacherPackageDefinition } from "@tandem/proto/load-teacher-proto.js";
import type { SignalFrame, SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { decodeCompact, type DecodedFrame } from "@tandem/shared/wire/compact/decode-compact.js";
import { encodeCompact } from "@tandem/shared/wire/compact/encode-compact.js";
import { fromSignalFrame, toSignalFrames } from "@tandem/shared/wire/signal-frame.js";
import { assertSignalShape } from "@tandem/shared/wire/signal-parts.js";
import { mulberry32 } from "./mulberry32.js";
import { mutateBytes } from "./mutate-bytes.js";
import { randomSignal } from "./random-signal.js";

const VOCABULARY = 151;
const SOUND_FRAMES = 64;

const Frame = loadTeacherPackageDefinition()["tandem.v1.SignalFrame"] as MessageTypeDefinition<
  SignalFrame,
  SignalFrame__Output
>;

export interface FuzzOutcome {
  readonly cases: number;
  readonly refused: number;
  /** Damaged frames whose checksum was made good again and that are well-formed: other frames, no damage that shows. */
  readonly wellFormed: number;
  /** The longest a single frame took. */
  readonly slowestMs: number;
}

/** Decodes damaged frames: COMPACT as they are (every change must be noticed, the checksum sees to it), COMPACT with a checksum that fits the
 * damage, and PLAIN inside its protobuf message. Whatever comes is an error of ours or a signal in the right shapes with ids below V that is
 * not out of proportion to the bytes it came from.
 * @throws AssertionError naming seed and case. */
export function fuzzFrames({ seed, cases }: { seed: number; cases: number }): FuzzOutcome {
  const random = mulberry32(seed);
  const sound = soundFrames(random);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const outcome = { cases, refused: 0, wellFormed: 0, slowestMs: 0 };
  for (let i = 0; i < cases; i++) {
    const began = performance.now();
    const label = `seed ${seed}, case ${i}`;
    if (i % 4 === 3) {
      const bytes = mutateBytes(pick(sound.plain), pick(sound.plain), random);
      const decoded = attempt(
        () => ({
          signal: fromSignalFrame(Frame.deserialize(bytes), VOCABULARY),
          vocabSize: VOCABULARY,
        }),
        label,
      );
      count(outcome, decoded, bytes.length, label);
    } else {
      const original = pick(sound.compact);
      const bytes = mutateBytes(original, pick(sound.compact), random);
      const changed = !sound.compact.some((frame) => frame.equals(bytes));
      const restamped = i % 4 !== 0 && bytes.length >= 4;
      if (restamped) bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
      const decoded = attempt(() => decodeCompact(bytes), label);
      assert.ok(restamped || !changed || decoded === undefined, `${label}: damage went unnoticed`);
      count(outcome, decoded, bytes.length, label);
    }
    outcome.slowestMs = Math.max(outcome.slowestMs, performance.now() - began);
  }
  return outcome;
}

function soundFrames(random: () => number) {
  const signals = Array.from({ length: SOUND_FRAMES }, (_, seed) => {
    const wants = () => random() < 0.4;
    return randomSignal({
      seed,
      count: Math.floor(random() * 6),
      topK: [0, 1, 3, 17, 64][seed % 5] as number,
      tauCount: seed % 3,
      vocabSize: VOCABULARY,
      scale: [0, 0.01, 3, 300][seed % 4] as number,
      ragged: seed % 7 < 3,
      parts: {
        law: wants(),
        token: wants(),
        at: wants(),
        moments: wants(),
        draws: wants(),
        weights: wants(),
        dense: random() < 0.1,
        hidden: random() < 0.1,
      },
    });
  });
  const maxLogitErrors = [0, 0.01, 0.5];
  return {
    compact: signals.map((signal, i) =>
      Buffer.from(
        encodeCompact(signal, {
          vocabSize: VOCABULARY,
          maxLogitError: maxLogitErrors[i % 3] as number,
          denseType: i % 2 === 0 ? "f16" : "f32",
        }),
      ),
    ),
    plain: signals.flatMap((signal) =>
      toSignalFrames(signal, {
        encoding: "PLAIN",
        vocabSize: VOCABULARY,
        maxLogitError: 0,
        denseType: "f32",
        maxFrameBytes: 1 << 20,
      }).map((frame) => Frame.serialize(frame)),
    ),
  };
}

/** The frame; undefined when it was refused as it should be. A RangeError of the protobuf reader is a refusal too: gRPC ends the call with it. */
function attempt(decode: () => DecodedFrame, label: string): DecodedFrame | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof TandemError && ["DATA_LOSS", "INVALID_ARGUMENT"].includes(error.code))
      return undefined;
    const fromReader = /^(index out of range|invalid wire type|invalid end group)/;
    if (error instanceof Error && fromReader.test(error.message)) return undefined;
    throw new Error(`${label}: ${String(error)}`, { cause: error });
  }
}

function count(
  outcome: { refused: number; wellFormed: number },
  decoded: DecodedFrame | undefined,
  sizeBytes: number,
  label: string,
): void {
  if (decoded === undefined) {
    outcome.refused++;
    return;
  }
  const { signal, vocabSize } = decoded;
  outcome.wellFormed++;
  assertSignalShape(signal);
  for (const ids of [signal.topIds, signal.drawIds]) {
    assert.ok(ids === undefined || ids.every((id) => id < vocabSize), `${label}: id ≥ V`);
  }
  const arrays = [...Object.values(signal), ...(signal.hidden?.values() ?? [])];
  const unfolded = arrays.reduce(
    (sum: number, part) => sum + (ArrayBuffer.isView(part) ? part.byteLength : 0),
    0,
  );
  // What decodeCompact promises, and the one offset that an empty list has.
  assert.ok(unfolded <= 32 * sizeBytes + 16, `${label}: ${sizeBytes} bytes became ${unfolded}`);
}
