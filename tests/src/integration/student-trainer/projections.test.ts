import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { f16ArrayToF32, f32ArrayToF16 } from "@tandem/shared/numeric/float16.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";
import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { makeRolloutPair, type RolloutPair } from "../../helpers/rollout-pair.js";

/** The embedding, and queries, keys and values of blocks of the pair's teacher: two heads of 12 for queries, one for keys and values. */
const LAYERS = [0, 65_538, 131_073, 196_610];
const WIDTHS = [24, 24, 12, 12];

describe("a teacher's queries, keys and values", () => {
  let pair: RolloutPair;
  let server: LiveServer;
  before(async () => {
    pair = await makeRolloutPair();
    server = await startLiveServer({ model: pair.teacherDir });
  });
  after(async () => {
    await server?.stop();
    await pair?.remove();
  });

  it("travel as float16 in either encoding, as the model has them", async () => {
    const tokens = Uint32Array.of(3, 7, 4, 11, 9, 2, 8);
    const from = 3;
    const spec = { ...NO_SIGNAL, hiddenLayers: LAYERS };
    const runner = await ModelRunner.load({ dir: pair.teacherDir, threads: 1 });
    const head = { first: from - 1, targets: tokens.slice(from), spec };
    const { rows } = await runner.run({
      release: [],
      rows: [{ cache: 1, past: 0, tokens, maxLength: tokens.length, head }],
    });
    await runner.close();
    const expected = rows[0]!.signal!.hidden!;
    for (const encoding of ["plain", "compact"] as const) {
      const teacher = await TeacherClient.connect({
        ...TEACHER_DEFAULTS,
        encoding,
        addresses: [server.grpcAddress],
        random: () => 0,
      });
      try {
        const { queryWidth, keyWidth, signalParts } = teacher.description;
        assert.deepEqual([queryWidth, keyWidth], [24, 12]);
        assert.ok(signalParts.includes("projections"));
        const { signal } = await teacher.score({ tokens, from, signal: spec });
        assert.deepEqual([...signal!.hidden!.keys()], LAYERS);
        LAYERS.forEach((number, at) => {
          const values = signal!.hidden!.get(number)!;
          assert.equal(values.length, (tokens.length - from) * WIDTHS[at]!);
          assert.deepEqual(values, f16ArrayToF32(f32ArrayToF16(expected.get(number)!)));
        });
        await assert.rejects(
          teacher.score({ tokens, from, signal: { ...spec, hiddenLayers: [65_536] } }),
          { code: "NOT_FOUND", message: /layer 65536.*queries \(65536 \+ i\)/ },
        );
      } finally {
        teacher.close();
      }
    }
  });
});
