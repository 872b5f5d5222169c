import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { readRows } from "@tandem/student-trainer/data/read-rows.js";

const PARQUET = fileURLToPath(new URL("../../../../fixtures/data/rows.parquet", import.meta.url));

describe("readRows", () => {
  let dir = "";
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "tandem-rows-"));
  });
  after(() => rm(dir, { recursive: true }));

  const file = async (text: string): Promise<string> => {
    const path = join(dir, "rows.jsonl");
    await writeFile(path, text);
    return path;
  };

  it("reads JSON lines and skips empty ones", async () => {
    const path = await file('{"prompt":"a"}\r\n\n{"prompt":"ü\\n","n":2}');
    const rows = await readRows(path);
    assert.deepEqual(
      rows.map(({ record }) => record),
      [{ prompt: "a" }, { prompt: "ü\n", n: 2 }],
    );
    assert.equal(rows[1]?.place, `${path}:3`);
  });

  for (const [what, line] of [
    ["a cut line", '{"prompt":"b'],
    ["a list", "[1]"],
    ["a bare text", '"b"'],
    ["null", "null"],
  ]) {
    it(`names file and line of ${what}`, async () => {
      const path = await file(`{"prompt":"a"}\n${line}\n{"prompt":"c"}\n`);
      await assert.rejects(readRows(path), {
        code: "INVALID_ARGUMENT",
        message: new RegExp(`${path.replaceAll(/[.]/g, "\\.")}:2: `),
      });
    });
  }

  it("names a file that is not there", async () => {
    await assert.rejects(readRows(join(dir, "none.jsonl")), { code: "NOT_FOUND" });
  });

  it("reads parquet", async () => {
    const rows = await readRows(PARQUET);
    assert.deepEqual(
      rows.map(({ record }) => record),
      [
        { prompt: "4738*6=", answer: "28428" },
        { prompt: "naïve — ✓", answer: "two\nlines" },
        { prompt: "c", answer: "" },
      ],
    );
  });

  it("refuses a file that only claims to be parquet", async () => {
    const path = join(dir, "wrong.parquet");
    await writeFile(path, "not parquet at all");
    await assert.rejects(readRows(path), { code: "INVALID_ARGUMENT", message: /wrong\.parquet/ });
  });
});
