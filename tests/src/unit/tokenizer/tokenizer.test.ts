import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { createCharTokenizerJson } from "@tandem/shared/tokenizer/char-tokenizer.js";
import { loadTokenizer, Tokenizer } from "@tandem/shared/tokenizer/tokenizer.js";

const FIXTURES = new URL("../../../../tests/fixtures/tokenizer/", import.meta.url);
const tokenizer = await loadTokenizer(fileURLToPath(new URL("sentencepiece", FIXTURES)));

function isError(code: string, words: RegExp) {
  return (error: unknown): boolean =>
    error instanceof TandemError && error.code === code && words.test(error.message);
}

describe("Tokenizer", () => {
  it("knows the ids of its named tokens", () => {
    assert.deepEqual([tokenizer.padId, tokenizer.eosId, tokenizer.bosId], [1, 2, 3]);
    assert.equal(tokenizer.entry(2), "<eos>");
    assert.equal(tokenizer.idOf("<eos>"), 2);
    assert.equal(tokenizer.idOf("no such entry"), undefined);
  });

  it("shows single tokens to people with their space, special ones included", () => {
    assert.equal(tokenizer.piece(2), "<eos>");
    const pieces = [...tokenizer.encode("the student", { special: false })].map((id) =>
      tokenizer.piece(id),
    );
    assert.equal(pieces.join(""), " the student");
  });

  it("refuses ids outside the vocabulary", () => {
    for (const id of [-1, 1.5, tokenizer.vocabularySize]) {
      assert.throws(
        () => tokenizer.decode([id]),
        isError("INVALID_ARGUMENT", /outside the vocabulary/),
      );
    }
    assert.equal(tokenizer.decode([]), "");
  });

  it("gives up on regular expressions of the model's that do not end", () => {
    const json = {
      ...createCharTokenizerJson({ special: [], characters: ["a", "!"] }),
      // Every way of cutting 40 letters into words is tried before the sign is seen: 2^39.
      pre_tokenizer: {
        type: "Split",
        pattern: { Regex: "^(a+)+$" },
        behavior: "Isolated",
        invert: false,
      },
    };
    const bad = new Tokenizer({ tokenizer: json, config: {} });
    assert.deepEqual([...bad.encode("aa")], [0, 0]);
    assert.throws(() => bad.encode(`${"a".repeat(40)}!`), {
      code: "INVALID_ARGUMENT",
      message: /more than 5005 ms.*regular expressions/,
    });
    // What comes behind is cut as before.
    assert.deepEqual([...bad.encode("a!")], [0, 1]);
  });

  it("passes on what a template says against messages", () => {
    const bad = [{ role: "robot", content: "x" }];
    assert.throws(
      () => tokenizer.renderChat(bad),
      isError("INVALID_ARGUMENT", /unknown role robot/),
    );
    const bare = new Tokenizer({
      tokenizer: createCharTokenizerJson({ special: [], characters: ["a"] }),
      config: {},
    });
    assert.throws(() => bare.renderChat([]), isError("FAILED_PRECONDITION", /no chat template/));
  });
});

describe("createCharTokenizerJson", () => {
  const characters = "0123456789*+=;:-".split("");
  const json = createCharTokenizerJson({ special: ["<pad>", "<eos>"], characters });
  const chars = new Tokenizer({ tokenizer: json, config: { eos_token: "<eos>" } });

  it("makes one token of each character and each special word", () => {
    assert.equal(chars.vocabularySize, 18);
    assert.deepEqual([...chars.encode("47*6=<eos>")], [6, 9, 12, 8, 14, 1]);
    assert.equal(chars.decode([6, 9, 12, 8, 14, 1, 0]), "47*6=");
    assert.equal(chars.eosId, 1);
  });

  it("does not drop characters without a token in silence", () => {
    assert.throws(() => chars.encode("4a7"), isError("INVALID_ARGUMENT", /no token for/));
    assert.equal(chars.encode("").length, 0);
  });

  it("refuses pieces that are not characters or come twice", () => {
    for (const bad of [["ab"], ["a", "a"], [""]]) {
      assert.throws(
        () => createCharTokenizerJson({ special: [], characters: bad }),
        isError("INVALID_ARGUMENT", /single character or comes twice/),
      );
    }
  });
});

describe("loadTokenizer", () => {
  it("says which file is missing or damaged", async () => {
    const dir = mkdtempSync(join(tmpdir(), "tandem-tokenizer-"));
    try {
      await assert.rejects(loadTokenizer(dir), isError("NOT_FOUND", /no tokenizer\.json/));
      const bad: [string, string, RegExp][] = [
        ["{", "DATA_LOSS", /not JSON/],
        ["[]", "DATA_LOSS", /JSON object/],
        ["{}", "UNIMPLEMENTED", /without a vocabulary/],
        ['{"model":{"type":"BPE","vocab":{"a":-1}}}', "DATA_LOSS", /id -1/],
        ['{"model":{"type":"Telepathy","vocab":{"a":0}}}', "UNIMPLEMENTED", /does not know/],
      ];
      for (const [text, code, words] of bad) {
        writeFileSync(join(dir, "tokenizer.json"), text);
        await assert.rejects(loadTokenizer(dir), isError(code, words), text);
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("takes the default of several templates from the configuration", async () => {
    const dir = mkdtempSync(join(tmpdir(), "tandem-tokenizer-"));
    try {
      const json = createCharTokenizerJson({ special: [], characters: ["a"] });
      writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(json));
      const templates = [
        { name: "tools", template: "no" },
        { name: "default", template: "{{ messages[0].content }}{{ eos_token }}" },
      ];
      const config = {
        chat_template: templates,
        eos_token: { content: "a", __type: "AddedToken" },
      };
      writeFileSync(join(dir, "tokenizer_config.json"), JSON.stringify(config));
      const loaded = await loadTokenizer(dir);
      assert.equal(loaded.renderChat([{ role: "user", content: "x" }]), "xa");
      assert.equal(loaded.eosId, 0);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
