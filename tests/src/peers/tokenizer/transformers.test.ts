import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createCharTokenizerJson } from "@tandem/shared/tokenizer/char-tokenizer.js";
import { loadTokenizer } from "@tandem/shared/tokenizer/tokenizer.js";

const ENCODE = fileURLToPath(new URL("../../../../tests/peers/encode_texts.py", import.meta.url));

/** Set by .ci/run; a missing peer fails rather than skips. */
function fromEnvironment(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set; see .ci/run`);
  return value;
}

async function compare(dir: string, texts: readonly string[]): Promise<void> {
  const input = JSON.stringify(texts);
  const output = execFileSync(fromEnvironment("TANDEM_PYTHON"), [ENCODE, dir], { input });
  const expected = JSON.parse(output.toString()) as {
    readonly vocabulary: number;
    readonly texts: readonly { readonly ids: readonly number[]; readonly text: string }[];
  };
  const tokenizer = await loadTokenizer(dir);
  assert.equal(tokenizer.vocabularySize, expected.vocabulary);
  expected.texts.forEach(({ ids, text }, i) => {
    assert.deepEqual([...tokenizer.encode(texts[i]!)], ids, texts[i]);
    assert.equal(tokenizer.decode(ids), text);
  });
}

/** Words, numbers, code, other scripts, odd spaces; every position of the list begins a text somewhere. */
const PIECES = [
  "Natalia sold clips to 48 of her friends in April,",
  " and then she sold half as many.\n",
  "#### 72\n\n",
  "<<48/2=24>>24",
  "  two  spaces\ttab\r\n",
  "def f(x):\n    return x ** 2  # squared\n",
  "größer naïve Ελληνικά русский 学生 日本語 한국어",
  "👩‍🔬 e\u0301 \u00a0\u200b",
  "<|im_start|>user\nhi<|im_end|>",
  "don't I'LL we've 'S",
  "1234567890.123,456%",
  "https://example.org/a?b=c&d=%20",
];

describe("tokenizers against transformers", () => {
  it("encode and decode text as SmolLM2's own tokenizer does", async () => {
    const texts = PIECES.flatMap((piece, i) => [
      piece,
      PIECES.slice(i).join(""),
      PIECES.slice(0, i).join(" "),
    ]);
    await compare(join(fromEnvironment("TANDEM_TEST_MODELS"), "SmolLM2-135M-Instruct"), texts);
  });

  it("made of single characters are read there as well", async () => {
    const dir = mkdtempSync(join(tmpdir(), "tandem-chars-"));
    try {
      const characters = "0123456789*+=;:-".split("");
      const json = createCharTokenizerJson({ special: ["<pad>", "<eos>"], characters });
      writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(json));
      const config = {
        tokenizer_class: "PreTrainedTokenizerFast",
        pad_token: "<pad>",
        eos_token: "<eos>",
      };
      writeFileSync(join(dir, "tokenizer_config.json"), JSON.stringify(config));
      await compare(dir, ["4738*6=", "8*6+0=48;3*6+4=22:28428<eos>", "<pad><pad>1-1=0", ""]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
