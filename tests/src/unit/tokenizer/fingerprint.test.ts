import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { compareManifests, tokenizerIdentity } from "@tandem/shared/tokenizer/fingerprint.js";
import type { JsonObject } from "@tandem/shared/tokenizer/tokenizer-files.js";

interface Bpe extends JsonObject {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
}
interface TokenizerJson extends JsonObject {
  readonly model: Bpe;
  readonly added_tokens: readonly JsonObject[];
}

const json = JSON.parse(
  readFileSync(
    new URL("../../../../tests/fixtures/tokenizer/byte-level/tokenizer.json", import.meta.url),
    "utf8",
  ),
) as TokenizerJson;
const base = tokenizerIdentity(json);

function withModel(change: Partial<Bpe>): JsonObject {
  return { ...json, model: { ...json.model, ...change } as JsonObject };
}

describe("tokenizerIdentity", () => {
  it("does not depend on how the same tokenizer is written down", () => {
    const rewritten = {
      ...withModel({
        merges: json.model.merges.map((pair) => pair.join(" ")) as never,
        vocab: Object.fromEntries(Object.entries(json.model.vocab).reverse()),
        continuing_subword_prefix: "",
      }),
      decoder: null,
      truncation: { max_length: 5 },
      added_tokens: json.added_tokens.toReversed(),
    };
    assert.equal(tokenizerIdentity(rewritten).fingerprint, base.fingerprint);
  });

  it("counts to the largest id, not the entries", () => {
    const sparse = { model: { type: "BPE", vocab: { a: 0, b: 9 }, merges: [] } };
    assert.equal(tokenizerIdentity(sparse).vocabularySize, 10);
  });

  it("differs with everything that changes the ids of a text, and says what", () => {
    const [first, second, ...rest] = json.model.merges;
    const { the: _the, ...withoutThe } = { ...json.model.vocab, the: 270 };
    const swapped = Object.fromEntries(
      Object.entries(json.model.vocab).map(([piece, id]) => [
        piece,
        id === 300 ? 301 : id === 301 ? 300 : id,
      ]),
    );
    const changes: [JsonObject, RegExp][] = [
      [withModel({ vocab: { ...json.model.vocab, extra: 380 } }), /380 ids here, 381 there/],
      [withModel({ vocab: swapped }), /other pieces among ids 256 to 511/],
      [withModel({ vocab: withoutThe, merges: rest }), /merges here, \d+ there/],
      [withModel({ merges: [second!, first!, ...rest] }), /other order/],
      [withModel({ byte_fallback: true }), /model is .*there/],
      [{ ...json, normalizer: { type: "NFC" } }, /normalizer is null here, \{"type":"NFC"\} there/],
      [{ ...json, pre_tokenizer: null }, /pre_tokenizer is/],
      [
        { ...json, added_tokens: json.added_tokens.map((token) => ({ ...token, lstrip: true })) },
        /added token 0 is/,
      ],
    ];
    for (const [changed, words] of changes) {
      const other = tokenizerIdentity(changed);
      assert.notEqual(other.fingerprint, base.fingerprint, String(words));
      const differences = compareManifests(base.manifest, other.manifest);
      assert.match(differences.join("; "), words);
      assert.ok(differences.length <= 4);
    }
    assert.deepEqual(compareManifests(base.manifest, base.manifest), []);
  });

  it("names one of our pieces where vocabularies part", () => {
    const other = tokenizerIdentity(withModel({ vocab: { ...json.model.vocab, "!": 3, X: 4 } }));
    const [difference] = compareManifests(base.manifest, other.manifest, () => "!");
    assert.match(difference!, /id 0 is "!" here/);
  });
});
