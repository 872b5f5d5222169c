import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { parseModelConfig, readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { toConfigJson } from "@tandem/shared/checkpoint/to-config-json.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { tinyModelDir, TINY_MODELS } from "../../helpers/tiny-models.js";

const LLAMA = {
  architectures: ["LlamaForCausalLM"],
  vocab_size: 100,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
};

describe("parseModelConfig", () => {
  for (const name of TINY_MODELS) {
    it(`survives writing and reading ${name}`, async () => {
      const config = await readModelConfig(tinyModelDir(name));
      assert.deepEqual(parseModelConfig(toConfigJson(config)), config);
      assert.ok(Object.isFrozen(config));
    });
  }

  it("takes the ids that end a text from generation_config.json where it names some", async () => {
    const dir = await mkdtemp(join(tmpdir(), "tandem-config-"));
    const write = (name: string, json: object) => writeFile(join(dir, name), JSON.stringify(json));
    try {
      await write("config.json", { ...LLAMA, eos_token_id: 3 });
      assert.deepEqual((await readModelConfig(dir)).eosTokenIds, [3]);
      await write("generation_config.json", { temperature: 0.6 });
      assert.deepEqual((await readModelConfig(dir)).eosTokenIds, [3]);
      // As Qwen's and Llama's chat models do: the end of a turn, then the end of a document.
      await write("generation_config.json", { eos_token_id: [7, 3] });
      const config = await readModelConfig(dir);
      assert.deepEqual(config.eosTokenIds, [7, 3]);
      assert.ok(Object.isFrozen(config));
      await writeFile(join(dir, "generation_config.json"), "{");
      await assert.rejects(readModelConfig(dir), { code: "DATA_LOSS" });
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it("reads rotary settings in the spellings of transformers 4 and 5", () => {
    const llama3 = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    };
    const old = parseModelConfig({
      ...LLAMA,
      rope_theta: 500,
      rope_scaling: { rope_type: "llama3", ...llama3 },
    });
    const now = parseModelConfig({
      ...LLAMA,
      rope_parameters: { rope_theta: 500, rope_type: "llama3", ...llama3 },
    });
    assert.deepEqual(old, now);
    const oldest = parseModelConfig({ ...LLAMA, rope_scaling: { type: "linear", factor: 2 } });
    assert.deepEqual((oldest as { rope?: unknown }).rope, {
      theta: 10000,
      scaling: { kind: "linear", factor: 2 },
    });
  });

  it("fills in what transformers fills in", () => {
    const config = parseModelConfig(LLAMA);
    assert.equal(config.kvHeads, 4);
    assert.equal(config.headDim, 8);
    assert.equal(config.tiedHead, false);
    assert.equal(config.contextLength, 2048);
    const gpt2 = parseModelConfig({
      architectures: ["GPT2LMHeadModel"],
      vocab_size: 10,
      n_embd: 24,
      n_head: 2,
    });
    assert.equal(gpt2.intermediateSize, 96);
    assert.equal(gpt2.tiedHead, true);
    assert.equal(gpt2.layers, 12);
  });

  it("accepts windows that hide nothing, and Qwen's switched-off one", () => {
    const mistral = {
      ...LLAMA,
      architectures: ["MistralForCausalLM"],
      max_position_embeddings: 128,
    };
    assert.equal(parseModelConfig({ ...mistral, sliding_window: 128 }).family, "mistral");
    assert.equal(parseModelConfig({ ...mistral, sliding_window: null }).family, "mistral");
    const qwen = {
      ...LLAMA,
      architectures: ["Qwen2ForCausalLM"],
      sliding_window: 16,
      use_sliding_window: false,
    };
    assert.equal(parseModelConfig(qwen).family, "qwen2");
  });

  const refused: readonly (readonly [string, Record<string, unknown>, string, string])[] = [
    [
      "an unknown architecture",
      { architectures: ["MambaForCausalLM"] },
      "UNIMPLEMENTED",
      "architectures",
    ],
    ["no architecture", { architectures: undefined }, "UNIMPLEMENTED", "architectures"],
    [
      "a short window",
      { architectures: ["MistralForCausalLM"], sliding_window: 64 },
      "UNIMPLEMENTED",
      "sliding_window",
    ],
    [
      "yarn",
      { rope_scaling: { rope_type: "yarn", factor: 2 } },
      "UNIMPLEMENTED",
      "rope_scaling.rope_type",
    ],
    [
      "quantised weights",
      { quantization_config: { bits: 4 } },
      "UNIMPLEMENTED",
      "quantization_config",
    ],
    ["an unknown activation", { hidden_act: "mish" }, "UNIMPLEMENTED", "hidden_act"],
    ["partial rotation", { partial_rotary_factor: 0.5 }, "UNIMPLEMENTED", "partial_rotary_factor"],
    ["a missing size", { hidden_size: undefined }, "INVALID_ARGUMENT", "hidden_size"],
    [
      "heads that do not divide",
      { num_key_value_heads: 3 },
      "INVALID_ARGUMENT",
      "num_key_value_heads",
    ],
    ["a size that is a text", { vocab_size: "100" }, "INVALID_ARGUMENT", "vocab_size"],
  ];
  for (const [what, change, code, field] of refused) {
    it(`refuses ${what}, naming the field`, () => {
      assert.throws(
        () => parseModelConfig({ ...LLAMA, ...change }),
        (caught: unknown) => {
          assert.ok(caught instanceof TandemError);
          assert.equal(caught.code, code);
          assert.equal(caught.field, field);
          assert.ok(caught.message.includes(field));
          return true;
        },
      );
    });
  }

  it("tells a missing directory from a damaged file", async () => {
    await assert.rejects(readModelConfig("/nonexistent"), { code: "NOT_FOUND" });
    assert.throws(() => parseModelConfig([]), { code: "INVALID_ARGUMENT" });
    assert.throws(() => parseModelConfig(null), { code: "INVALID_ARGUMENT" });
  });

  it("keeps the real SmolLM2 config readable", async () => {
    const text = await readFile(`${tinyModelDir("llama-f16")}/config.json`, "utf8");
    assert.equal(parseModelConfig(JSON.parse(text)).family, "llama");
  });
});
