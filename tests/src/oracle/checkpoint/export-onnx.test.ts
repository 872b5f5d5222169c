import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { f32Tensor, i64Tensor, type HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import type { Session } from "@tandem/shared/runtime/session.js";
import { exportOnnx } from "@tandem/student-trainer/checkpoint/export-onnx.js";
import { loadStudent } from "@tandem/student-trainer/checkpoint/load-student.js";
import type { StudentModel } from "@tandem/student-trainer/checkpoint/student-model.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { tinyModelDir } from "../../helpers/tiny-models.js";
import { forwardLogits } from "./forward-logits.js";

const ROWS = [
  [5, 17, 3, 88, 41, 9, 23],
  [60, 61, 4, 4, 12, 96, 1],
];
// Both f32, logits of size 1.
const CLOSE = { rtol: 1e-5, atol: 1e-5 };

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "tandem-onnx-"));
});
after(async () => rm(root, { recursive: true, force: true }));

async function open(
  model: StudentModel,
  outDir: string,
  inlineLimitBytes?: number,
): Promise<Session> {
  const path = await exportOnnx({
    model,
    outDir,
    ...(inlineLimitBytes !== undefined && { inlineLimitBytes }),
  });
  return createOrtSession(await readFile(path), { threads: 1, externalDataDir: dirname(path) });
}

interface Call {
  readonly ids: readonly (readonly number[])[];
  readonly mask: readonly (readonly number[])[];
  readonly positions: readonly (readonly number[])[];
}

/** One call as transformers.js makes it; `present.…` of one call is the `past_key_values.…` of the next. */
async function call(
  session: Session,
  { config }: StudentModel,
  { ids, mask, positions }: Call,
  past?: Readonly<Record<string, HostTensor>>,
) {
  const feeds: Record<string, HostTensor> = {
    input_ids: i64Tensor(ids.flat(), [ids.length, ids[0]!.length]),
    attention_mask: i64Tensor(mask.flat(), [mask.length, mask[0]!.length]),
    position_ids: i64Tensor(positions.flat(), [positions.length, positions[0]!.length]),
  };
  for (let layer = 0; layer < config.layers; layer++) {
    for (const part of ["key", "value"]) {
      const empty = f32Tensor(new Float32Array(0), [ids.length, config.kvHeads, 0, config.headDim]);
      feeds[`past_key_values.${layer}.${part}`] = past?.[`present.${layer}.${part}`] ?? empty;
    }
  }
  return session.run(feeds, session.outputNames);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

/** Logits of the positions [from, to) of [B,T,V]. */
function cut(logits: Float32Array, V: number, from: number, to: number): number[] {
  const T = ROWS[0]!.length;
  return ROWS.flatMap((_, row) => [...logits.subarray((row * T + from) * V, (row * T + to) * V)]);
}

for (const name of ["llama-tied", "llama-bias", "llama-rope-llama3", "qwen3", "gpt2"]) {
  describe(`${name} exported to ONNX`, () => {
    it("gives the logits of the full forward pass, from a prompt and from its cache", async () => {
      const model = await loadStudent(tinyModelDir(name));
      const V = model.config.vocabSize;
      const expected = await forwardLogits(model, ROWS);
      const session = await open(model, join(root, name));
      let past: Readonly<Record<string, HostTensor>> | undefined;
      for (const [from, to] of [
        [0, 3],
        [3, 4],
        [4, 7],
      ] as const) {
        past = await call(
          session,
          model,
          {
            ids: ROWS.map((row) => row.slice(from, to)),
            mask: ROWS.map(() => range(0, to).fill(1)),
            positions: ROWS.map(() => range(from, to)),
          },
          past,
        );
        assertAllClose(
          past["logits"]!.data as Float32Array,
          cut(expected, V, from, to),
          CLOSE,
          `${from} to ${to}`,
        );
      }
      await session.close();
    });

    it("does not see padding on the left", async () => {
      const model = await loadStudent(tinyModelDir(name));
      const V = model.config.vocabSize;
      const expected = await forwardLogits(model, [ROWS[0]!]);
      const session = await open(model, join(root, `${name}-padded`));
      const { logits } = await call(session, model, {
        ids: [[0, 0, ...ROWS[0]!]],
        mask: [[0, 0, ...range(0, 7).fill(1)]],
        positions: [[0, 0, ...range(0, 7)]],
      });
      const all = logits!.data as Float32Array;
      assert.ok(all.every(Number.isFinite));
      assertAllClose(all.subarray(2 * V), expected, CLOSE);
      await session.close();
    });
  });
}

describe("an ONNX export", () => {
  it("keeps large weights in a file beside it", async () => {
    const model = await loadStudent(tinyModelDir("llama-bias"));
    const outDir = join(root, "external");
    const session = await open(model, outDir, 1000);
    assert.deepEqual((await readdir(join(outDir, "onnx"))).sort(), [
      "model.onnx",
      "model.onnx_data",
    ]);
    const { logits } = await call(session, model, {
      ids: ROWS,
      mask: ROWS.map(() => range(0, 7).fill(1)),
      positions: ROWS.map(() => range(0, 7)),
    });
    assertAllClose(logits!.data as Float32Array, await forwardLogits(model, ROWS), CLOSE);
    await session.close();
  });

  it("has the inputs and outputs of optimum's layout", async () => {
    const model = await loadStudent(tinyModelDir("gpt2"));
    const session = await open(model, join(root, "names"));
    const layers = range(0, model.config.layers);
    const pairs = (prefix: string) =>
      layers.flatMap((layer) => ["key", "value"].map((part) => `${prefix}.${layer}.${part}`));
    assert.deepEqual(
      session.inputNames.toSorted(),
      ["input_ids", "attention_mask", "position_ids", ...pairs("past_key_values")].sort(),
    );
    assert.deepEqual(session.outputNames.toSorted(), ["logits", ...pairs("present")].sort());
    await session.close();
  });
});
