import assert from "node:assert/strict";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import type { Usage__Output } from "@tandem/proto/gen/tandem/v1/Usage.js";
import { concatSignals } from "@tandem/shared/wire/concat-signals.js";
import { fromSignalFrame } from "@tandem/shared/wire/signal-frame.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { TeacherStream } from "./teacher-stream.js";

export interface WireScore {
  readonly frames: readonly SignalFrame__Output[];
  readonly usage: Usage__Output;
}

/** Scores items on one stream; fails on any error. */
export async function scoreOverWire(
  client: TeacherClient,
  items: readonly ScoreItem[],
): Promise<Map<number, WireScore>> {
  const stream = new TeacherStream(client.score());
  stream.send({ items: [...items] });
  const frames = new Map<number, SignalFrame__Output[]>();
  const scores = new Map<number, WireScore>();
  while (scores.size < items.length) {
    const message = await stream.next();
    assert.deepEqual(message?.errors, []);
    for (const result of message?.results ?? []) {
      const own = [...(frames.get(result.id) ?? []), ...result.frames];
      frames.set(result.id, own);
      if (result.last) scores.set(result.id, { frames: own, usage: result.usage as Usage__Output });
    }
  }
  await stream.finish();
  return scores;
}

/** The signals of scored items, by id. */
export function signalsOf(
  scores: ReadonlyMap<number, WireScore>,
  vocabulary: number,
): Map<number, TeacherSignal> {
  return new Map(
    [...scores].map(([id, { frames }]) => [
      id,
      concatSignals(frames.map((frame) => fromSignalFrame(frame, vocabulary))),
    ]),
  );
}
