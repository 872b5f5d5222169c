import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { readTensors, signalOf, tinyModelDir, TINY_MODELS } from "../../helpers/tiny-models.js";

/** transformers computed in float64 with f32 norms and angles; we compute in f32 through two layers of logits around ±20. */
const TOLERANCE = { rtol: 2e-5, atol: 5e-5 };
const TAU = 2.5;

describe("ModelRunner against transformers", () => {
  for (const name of TINY_MODELS) {
    it(`gives the signal of ${name}`, async () => {
      const dir = tinyModelDir(name);
      const expected = await readTensors(`${dir}/expected.safetensors`);
      const wanted = (part: string) => expected.get(part)!;
      const runner = await ModelRunner.load({ dir, threads: 1 });
      try {
        const tokens = Uint32Array.from(wanted("tokens"));
        const { rows } = await runner.run({
          release: [],

          rows: [
            {
              cache: 1,
              past: 0,
              tokens,
              maxLength: tokens.length,
              head: {
                first: 0,
                targets: Uint32Array.from(wanted("targets")),
                spec: signalOf({
                  topK: 8,
                  token: true,
                  moments: true,
                  taus: [TAU],
                  dense: "f32",
                  hiddenLayers: [0, 1],
                }),
              },
            },
          ],
        });
        const signal = rows[0]!.signal!;
        assert.equal(signal.from, 1);
        assert.equal(signal.count, tokens.length);
        assert.deepEqual(Array.from(signal.topIds!), Array.from(wanted("top_ids")));
        assert.deepEqual(Array.from(signal.rank!), Array.from(wanted("rank")));
        const close = (actual: Float32Array | undefined, part: string) =>
          assertAllClose(actual!, wanted(part), TOLERANCE, `${name} ${part}`);
        close(signal.topLogits, "top_logits");
        close(signal.lse, "lse");
        close(signal.logTail, "log_tail");
        close(signal.lseAt, "lse_at");
        close(signal.tokenLogit, "token_logit");
        close(signal.meanLogit, "mean");
        close(signal.maxLogit, "max");
        close(signal.entropy, "entropy");
        close(signal.dense, "logits");
        close(signal.hidden!.get(0), "hidden_0");
        close(signal.hidden!.get(1), "hidden_1");
      } finally {
        await runner.close();
      }
    });
  }
});
