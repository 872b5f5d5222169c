import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadPlainText } from "@tandem/student-trainer/data/load-plain-text.js";
import { plainTextSchema } from "@tandem/student-trainer/data/plain-text-config.js";
import type { TextCodec } from "@tandem/student-trainer/data/text-codec.js";

/** A token for each character, behind a 0 where special tokens are wanted. */
const codec: TextCodec = {
  encode: (text, { special }) => Uint32Array.from([...(special ? [0] : []), ...Buffer.from(text)]),
  decode: () => "",
  renderChat: () => "",
};

describe("plain text", () => {
  let dir = "";
  before(async () => (dir = await mkdtemp(join(tmpdir(), "tandem-plain-"))));
  after(() => rm(dir, { recursive: true, force: true }));

  async function load(records: readonly object[], options: object = {}) {
    const train = join(dir, "plain.jsonl");
    await writeFile(train, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
    const config = plainTextSchema.parse({ train, length: 4, ...options });
    return loadPlainText(config, { codec, contextLength: 8 });
  }

  it("is cut into pieces of two tokens or more", async () => {
    const pieces = await load([{ text: "abcdefgh" }, { text: "" }, { text: "x" }]);
    assert.deepEqual(
      pieces.map((piece) => [...piece]),
      [
        [0, 97, 98, 99],
        [100, 101, 102, 103],
        [0, 120],
      ],
    );
  });

  it("is nothing where no file is named", async () => {
    const none = plainTextSchema.parse({});
    assert.deepEqual(await loadPlainText(none, { codec, contextLength: 8 }), []);
  });

  for (const [what, records, options, field, message] of [
    [
      "a record without the field",
      [{ other: "a" }],
      {},
      "data.plainText.field",
      /plain\.jsonl.*"text"/,
    ],
    ["files without text", [{ text: "" }], {}, "data.plainText.train", /no text of two tokens/],
    ["pieces beyond the context", [], { length: 9 }, "data.plainText.length", /context has 8/],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(load(records, options), { code: "INVALID_ARGUMENT", field, message });
    });
  }
});
