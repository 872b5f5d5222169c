import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { loadTokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { byteEnds, pairSpans } from "@tandem/student-trainer/teacher/token-spans.js";
import { UNMATCHED } from "@tandem/student-trainer/losses/aligned-signal.js";
import { matchVocabularies } from "@tandem/student-trainer/teacher/vocabulary-match.js";

const fixture = (name: string) =>
  loadTokenizer(fileURLToPath(new URL(`../../../fixtures/tokenizer/${name}`, import.meta.url)));
const byteLevel = await fixture("byte-level");
const sentencePiece = await fixture("sentencepiece");
const TEXTS = [
  "The student learns.",
  "two\n\nlines\tand  spaces",
  "12345 + 6789 = 19134",
  "größere Wörter, naïve élèves 学生 🎉",
  "don't they've I'M",
  " leading",
];

describe("bytes of tokens", () => {
  for (const [name, tokenizer] of [
    ["byte-level", byteLevel],
    ["sentencepiece", sentencePiece],
  ] as const) {
    for (const text of TEXTS) {
      it(`spell the text, ${name}: ${JSON.stringify(text)}`, () => {
        const ids = tokenizer.encode(text, { special: false });
        const bytes = new TextEncoder().encode(text);
        const ends = byteEnds(tokenizer, ids, bytes);
        assert.equal(ends.at(-1), bytes.length);
        assert.ok(ends.every((end, at) => at === 0 || end >= ends[at - 1]!));
      });
    }
  }

  it("are none for special tokens", () => {
    assert.equal(byteLevel.bytesOf(byteLevel.eosId!).length, 0);
  });

  it("that spell another text are refused", () => {
    const ids = byteLevel.encode("abc", { special: false });
    assert.throws(() => byteEnds(byteLevel, ids, new TextEncoder().encode("abd")), {
      code: "FAILED_PRECONDITION",
    });
  });
});

describe("spans of two tokenizers", () => {
  it("are the shortest runs that end at the same byte", () => {
    // ab|c|de and a|bc|d|e: boundaries 2 3 5 and 1 3 4 5.
    const pairs = pairSpans(Uint32Array.of(2, 3, 5), Uint32Array.of(1, 3, 4, 5));
    assert.deepEqual(pairs, [
      { own: [0, 2], other: [0, 2] },
      { own: [2, 3], other: [2, 4] },
    ]);
  });

  it("leave out what ends at no common byte", () => {
    const pairs = pairSpans(Uint32Array.of(1, 4), Uint32Array.of(1, 3));
    assert.deepEqual(pairs, [{ own: [0, 1], other: [0, 1] }]);
  });

  for (const text of TEXTS) {
    it(`cover the text: ${JSON.stringify(text)}`, () => {
      const bytes = new TextEncoder().encode(text);
      const [a, b] = [byteLevel, sentencePiece].map((tokenizer) =>
        byteEnds(tokenizer, tokenizer.encode(text, { special: false }), bytes),
      ) as [Uint32Array, Uint32Array];
      const pairs = pairSpans(a, b);
      assert.deepEqual([pairs.at(-1)!.own[1], pairs.at(-1)!.other[1]], [a.length, b.length]);
      for (const { own, other } of pairs) assert.equal(a[own[1] - 1], b[other[1] - 1]);
    });
  }
});

describe("vocabularies matched by bytes", () => {
  const match = matchVocabularies(byteLevel, sentencePiece, [
    [sentencePiece.eosId!, byteLevel.eosId!],
  ]);

  it("pair tokens that stand for the same text, whatever they are spelled", () => {
    const space = match.toStudent[sentencePiece.idOf("▁the")!]!;
    assert.equal(byteLevel.entry(space), "Ġthe");
    match.toStudent.forEach((own, id) => {
      if (own === UNMATCHED) return;
      assert.deepEqual(byteLevel.bytesOf(own), sentencePiece.bytesOf(id));
    });
  });

  it("pair no token twice, and count the rest", () => {
    const paired = [...match.toStudent].filter((own) => own !== UNMATCHED);
    assert.equal(new Set(paired).size, paired.length);
    assert.equal(paired.length, match.matched);
    assert.equal(match.studentOnly.length, byteLevel.vocabularySize - match.matched);
    assert.ok(match.matched > 256);
    assert.equal(match.toStudent[sentencePiece.eosId!], byteLevel.eosId);
  });
});
