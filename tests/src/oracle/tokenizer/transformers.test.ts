import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { loadTokenizer, type Message } from "@tandem/shared/tokenizer/tokenizer.js";

interface Expected {
  readonly vocabularySize: number;
  readonly texts: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly plain: readonly number[];
    readonly decoded: string;
    readonly decodedWithSpecial: string;
  }[];
  readonly chats: readonly {
    readonly messages: readonly Message[];
    readonly addGenerationPrompt: boolean;
    readonly text: string;
  }[];
}

const FIXTURES = new URL("../../../../tests/fixtures/tokenizer/", import.meta.url);

for (const name of ["byte-level", "sentencepiece"]) {
  describe(`a ${name} tokenizer against transformers`, async () => {
    const dir = fileURLToPath(new URL(name, FIXTURES));
    const tokenizer = await loadTokenizer(dir);
    const expected = JSON.parse(readFileSync(`${dir}/expected.json`, "utf8")) as Expected;

    it("gives texts the same ids, with and without special tokens", () => {
      for (const { text, ids, plain } of expected.texts) {
        assert.deepEqual([...tokenizer.encode(text)], ids, text);
        assert.deepEqual([...tokenizer.encode(text, { special: false })], plain, text);
      }
    });

    it("gives ids the same texts", () => {
      for (const { ids, decoded, decodedWithSpecial } of expected.texts) {
        assert.equal(tokenizer.decode(ids), decoded);
        assert.equal(tokenizer.decode(ids, { special: true }), decodedWithSpecial);
      }
    });

    it("writes chats as the template does there", () => {
      for (const { messages, addGenerationPrompt, text } of expected.chats) {
        assert.equal(tokenizer.applyChatTemplate(messages, { addGenerationPrompt }), text);
      }
    });

    it("counts the same vocabulary", () => {
      assert.equal(tokenizer.vocabularySize, expected.vocabularySize);
    });
  });
}
