import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { parseModelConfig, readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { countParameters, headName, listParameters } from "@tandem/shared/models/parameters.js";
import { rotaryAngles, rotaryFrequencies } from "@tandem/shared/models/rope.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { tinyModelDir, TINY_MODELS } from "../../helpers/tiny-models.js";

describe("listParameters", () => {
  for (const name of TINY_MODELS) {
    it(`names exactly the weights that transformers saved for ${name}`, async () => {
      const config = await readModelConfig(tinyModelDir(name));
      const weights = await CheckpointWeights.open(tinyModelDir(name));
      const found = listParameters(config).map(
        ({ name: parameter, shape }) => weights.require(parameter, shape).name,
      );
      assert.deepEqual(found.sort(), weights.names);
    });
  }

  it("counts SmolLM2-135M as its model card does", () => {
    const config = parseModelConfig({
      architectures: ["LlamaForCausalLM"],
      vocab_size: 49152,
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      tie_word_embeddings: true,
    });
    // 49152·576 + 30·(2·576² + 2·576·192 + 3·576·1536 + 2·576) + 576
    assert.equal(countParameters(config), 134_515_008);
    assert.equal(headName(config), "model.embed_tokens.weight");
  });

  it("lets matrices decay, not norms and biases", async () => {
    const config = await readModelConfig(tinyModelDir("llama-bias"));
    for (const { name, shape, decay } of listParameters(config)) {
      assert.equal(decay, shape.length === 2, name);
    }
  });
});

describe("rotary angles", () => {
  it("are those of a hand calculation", () => {
    // theta = 16, d = 4: frequencies 16^0 = 1 and 16^(−1/2) = 1/4.
    const rope = { theta: 16, scaling: { kind: "none" } } as const;
    assert.deepEqual(Array.from(rotaryFrequencies({ headDim: 4, rope })), [1, 0.25]);
    const halved = { theta: 16, scaling: { kind: "linear", factor: 2 } } as const;
    assert.deepEqual(Array.from(rotaryFrequencies({ headDim: 4, rope: halved })), [0.5, 0.125]);
  });

  it("are scaled as Llama 3.1 says: high frequencies kept, low ones divided, those between blended", () => {
    // theta = 4096, d = 6: frequencies 1, 1/16, 1/256; wavelengths 6.28, 100.5, 1608.
    // Context 64·π, factors 1 and 4: turns = context·f/2π = 32, 2, 1/8.
    const scaling = {
      kind: "llama3",
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalContextLength: 64 * Math.PI,
    } as const;
    // 2 turns lie a third of the way from 1 to 4.
    const blended = (2 / 3) * (1 / 16 / 8) + (1 / 3) * (1 / 16);
    const frequencies = rotaryFrequencies({ headDim: 6, rope: { theta: 4096, scaling } });
    assertAllClose(frequencies, [1, blended, 1 / 256 / 8], { rtol: 1e-6, atol: 0 });
  });

  it("belong to their positions", async () => {
    const config = await readModelConfig(tinyModelDir("llama-tied"));
    assert.ok(config.family !== "gpt2");
    const { cos, sin } = rotaryAngles(config, [0, 5]);
    const frequencies = rotaryFrequencies(config);
    const wanted = (f: (x: number) => number) =>
      [0, 5].flatMap((p) => Array.from(frequencies, (w) => f(p * w)));
    assertAllClose(cos, wanted(Math.cos), { rtol: 1e-6, atol: 1e-6 });
    assertAllClose(sin, wanted(Math.sin), { rtol: 1e-6, atol: 1e-6 });
  });
});
