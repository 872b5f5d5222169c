import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { dataSchema, type DataConfig } from "@tandem/student-trainer/data/data-config.js";
import { loadDataset } from "@tandem/student-trainer/data/dataset.js";
import { permute } from "@tandem/student-trainer/data/permute.js";
import { RowCursor } from "@tandem/student-trainer/data/row-cursor.js";
import type { TextCodec } from "@tandem/student-trainer/data/text-codec.js";

const BEGIN = 200;
const EOS = 201;

/** Code points as ids; `special` puts a beginning-of-text id in front. */
const codec: TextCodec = {
  encode: (text, { special }) =>
    Uint32Array.from([...(special ? [BEGIN] : []), ...Buffer.from(text, "latin1")]),
  decode: (ids) => Buffer.from(ids).toString("latin1"),
  renderChat: (messages) => messages.map(({ role, content }) => `<${role}>${content}`).join(""),
};

describe("loadDataset", () => {
  let dir = "";
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "tandem-data-"));
  });
  after(() => rm(dir, { recursive: true }));

  async function load(lines: readonly unknown[], config: Partial<DataConfig> = {}) {
    const path = join(dir, "data.jsonl");
    await writeFile(path, lines.map((line) => JSON.stringify(line)).join("\n"));
    return loadDataset({
      files: path,
      config: dataSchema.parse({ train: path, ...config }),
      codec,
      eosId: EOS,
      maxResponse: 5,
      maxPrompt: config.maxPrompt ?? 8,
      teachers: ["small"],
      needsNamedFields: true,
    });
  }

  it("takes prompt and answer from their fields and ends answers with the stop id", async () => {
    const { rows } = await load([{ q: "ab", a: "c" }], { prompt: "q", answer: "a" });
    assert.deepEqual(rows[0]?.prompt, Uint32Array.of(BEGIN, 97, 98));
    assert.deepEqual(rows[0]?.answer, Uint32Array.of(99, EOS));
  });

  it("sends chats through the template without a second beginning of text", async () => {
    const messages = [
      { role: "user", content: "" },
      { role: "assistant", content: "ok" },
    ];
    const { rows } = await load([{ messages }], { messages: "messages" });
    assert.equal(rows[0]?.promptText, "<user>");
    assert.deepEqual([...(rows[0]?.prompt ?? [])], [...Buffer.from("<user>")]);
    assert.deepEqual(rows[0]?.answer, Uint32Array.of(111, 107, EOS));
  });

  it("leaves out what is too long and keeps the numbers of the others", async () => {
    const { rows, skipped } = await load([
      { prompt: "a", answer: "b" },
      { prompt: "much too long", answer: "b" },
      { prompt: "a", answer: "bcdef" },
      { prompt: "c", answer: "d" },
    ]);
    assert.deepEqual(
      rows.map(({ index }) => index),
      [0, 3],
    );
    assert.equal(skipped, 2);
  });

  it("refuses what is too long when told to, naming file and line", async () => {
    await assert.rejects(
      load([{ prompt: "a" }, { prompt: "much too long" }], { tooLong: "error" }),
      {
        code: "INVALID_ARGUMENT",
        message: /data\.jsonl:2: the prompt has 14 tokens, allowed are 8/,
      },
    );
  });

  it("shows teachers what their field says, and the row's own prompt where it says nothing", async () => {
    const lines = [{ prompt: "a", hint: "long hint" }, { prompt: "b" }];
    const { rows } = await load(lines, { teacherPrompt: "hint" });
    const seen = rows.map(({ teacherPrompt }) => teacherPrompt && [...teacherPrompt]);
    assert.deepEqual(seen, [[BEGIN, ...Buffer.from("long hint")], undefined]);
  });

  it("refuses fields for some rows that no row has", async () => {
    for (const option of ["teacherPrompt", "teacher"] as const) {
      const lines = [
        { prompt: "a", hint: "h" },
        { prompt: "b", hnt: null },
      ];
      await assert.rejects(load(lines, { [option]: "hnt" }), {
        code: "INVALID_ARGUMENT",
        field: `data.${option}`,
        message: `none of 2 rows has the field "hnt" (data.${option}); correct it, or leave data.${option} out`,
      });
    }
  });

  it("gives teachers a system message of their own, in place of the chat's", async () => {
    const messages = [
      { role: "system", content: "s" },
      { role: "user", content: "q" },
      { role: "assistant", content: "ok" },
    ];
    const { rows } = await load([{ messages }], {
      messages: "messages",
      teacherSystem: "wise",
      maxPrompt: 99,
    });
    assert.equal(rows[0]?.promptText, "<system>s<user>q");
    assert.equal(codec.decode(rows[0]!.teacherPrompt!), "<system>wise<user>q");
    const both = await load([{ prompt: "q", hint: "Q" }], {
      chat: true,
      teacherPrompt: "hint",
      teacherSystem: "wise",
      maxPrompt: 99,
    });
    assert.equal(codec.decode(both.rows[0]!.teacherPrompt!), "<system>wise<user>Q");
  });

  it("leaves out rows whose teacher would see too much", async () => {
    const lines = [{ prompt: "a", hint: "abc" }];
    assert.equal((await load(lines, { teacherPrompt: "hint", maxTeacherPrompt: 3 })).skipped, 1);
    assert.equal((await load(lines, { teacherPrompt: "hint", maxTeacherPrompt: 4 })).skipped, 0);
  });

  it("takes a row's teacher from its field, and refuses one that is not there", async () => {
    const lines = [{ prompt: "a", by: "small" }, { prompt: "b" }];
    const { rows } = await load(lines, { teacher: "by" });
    assert.deepEqual(
      rows.map(({ teacher }) => teacher),
      ["small", undefined],
    );
    await assert.rejects(load([{ prompt: "a", by: "smal" }], { teacher: "by" }), {
      code: "INVALID_ARGUMENT",
      message: /data\.jsonl:1: field "by" .* is "smal"; teachers: has small/,
    });
  });

  it("names file, line and field of a record without a prompt", async () => {
    await assert.rejects(load([{ prompt: "a" }, { question: "b" }]), {
      code: "INVALID_ARGUMENT",
      message:
        /data\.jsonl:2: field "prompt" \(data\.prompt\) must be a text; the record has question/,
    });
  });

  it("says where chat messages belong that stand in the place of a prompt", async () => {
    await assert.rejects(
      load([{ prompt: [{ role: "user", content: "hi" }] }]),
      /data\.jsonl:1: field "prompt" .* holds a list; for chat messages name it as data\.messages/,
    );
  });

  it("names a chat without messages", async () => {
    await assert.rejects(load([{ messages: [{ role: "user" }] }], { messages: "messages" }), {
      message: /data\.jsonl:1: field "messages"/,
    });
  });
});

describe("permute", () => {
  it("orders every row once, another way each epoch and seed, the same way each time", () => {
    const order = permute(100, 1, 0);
    assert.deepEqual(
      [...order].sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.deepEqual(permute(100, 1, 0), order);
    assert.notDeepEqual(permute(100, 1, 1), order);
    assert.notDeepEqual(permute(100, 2, 0), order);
  });
});

describe("RowCursor", () => {
  it("goes on from its state exactly where it was, across epochs", () => {
    const options = { count: 7, seed: 3, shuffle: true };
    const whole = new RowCursor(options);
    const taken = Array.from({ length: 20 }, () => whole.next());
    const first = new RowCursor(options);
    for (let i = 0; i < 9; i++) first.next();
    const second = new RowCursor(options);
    second.restore(first.state);
    assert.deepEqual(
      Array.from({ length: 11 }, () => second.next()),
      taken.slice(9),
    );
    assert.deepEqual(
      taken.map(({ epoch }) => epoch),
      Array.from({ length: 20 }, (_, i) => Math.floor(i / 7)),
    );
  });

  it("refuses data without a row", () => {
    assert.throws(() => new RowCursor({ count: 0, seed: 0, shuffle: true }), {
      code: "INVALID_ARGUMENT",
    });
  });
});
