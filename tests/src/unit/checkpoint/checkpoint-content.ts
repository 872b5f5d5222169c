import type { CheckpointContent } from "@tandem/student-trainer/checkpoint/save-checkpoint.js";
import { loadStudent } from "@tandem/student-trainer/checkpoint/load-student.js";

/** Something to save: a tiny model, moments made of its weights, one rollout with a signal. */
export async function contentOf(modelDir: string, step: number): Promise<CheckpointContent> {
  const model = await loadStudent(modelDir);
  const moments = [...model.weights].map(
    ([name, values]) =>
      [name, { first: values.map((w) => w / 3), second: values.map((w) => w * w) }] as const,
  );
  const stats = { judged: 3, accepted: 2, replaced: 1, computedPositions: 4 };
  return {
    model,
    moments: new Map(moments),
    state: {
      version: 1,
      step,
      round: 2,
      stepInRound: 1,
      updates: step,
      configDigest: "digest",
      metricsBytes: 17,
      source: { cursor: [1, 2], epoch: 0, seen: { name: null } },
    },
    batches: [
      {
        index: 2,
        rollouts: [
          {
            row: 1,
            sample: 0,
            epoch: 0,
            prompt: Uint32Array.of(1, 2),
            response: Uint32Array.of(3, 4),
            authors: Uint8Array.of(0, 1),
            finish: "stop",
            signal: {
              from: 2,
              count: 2,
              topK: 1,
              topIds: Uint32Array.of(3, 5),
              topLogits: Float32Array.of(0.1, Math.fround(1e-40)),
              lse: Float32Array.of(1, 2),
              logTail: Float32Array.of(-Infinity, -0),
              tauCount: 0,
            },
            stats,
          },
        ],
        stats,
        teacherWaitMs: 1.5,
        seconds: 0.25,
      },
    ],
  };
}
