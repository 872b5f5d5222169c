import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { formatTable } from "@tandem/student-trainer/cli/format-table.js";
import { Progress } from "@tandem/student-trainer/cli/progress.js";
import { toSampleRecord } from "@tandem/student-trainer/cli/sample-record.js";

const FACTS = {
  step: 10,
  steps: 40,
  loss: 1.23456,
  tokensPerSecond: 321.9,
  acceptance: 0.8768,
  teacherWaitMs: 1500,
};

function record(isTTY: boolean) {
  const written: string[] = [];
  return { written, out: { isTTY, columns: 100, write: (text: string) => written.push(text) } };
}

describe("Progress", () => {
  it("redraws one line on a terminal", () => {
    const { written, out } = record(true);
    const progress = new Progress(out);
    progress.show(FACTS);
    progress.note("a note");
    assert.ok(written[0]?.startsWith("\r\u001b[2K["));
    assert.match(written[0] ?? "", /█+·+\] 10\/40 loss 1\.2346 · 322 tokens\/s · accepted 87\.7 %/);
    assert.deepEqual(written.slice(1), ["\n", "a note\n"]);
  });

  it("never draws beyond the terminal's width", () => {
    const { written, out } = record(true);
    new Progress({ ...out, columns: 30 }).show(FACTS);
    assert.equal(written[0]?.replace("\r\u001b[2K", "").length, 30);
  });

  it("shows all of it in 80 columns, which an unmeasured terminal is taken for", () => {
    for (const columns of [80, 0, undefined]) {
      const { written, out } = record(true);
      new Progress({
        isTTY: out.isTTY,
        write: out.write,
        ...(columns !== undefined && { columns }),
      }).show({
        ...FACTS,
        step: 1000,
        steps: 20000,
      });
      assert.match(
        (written[0] ?? "").replace("\r\u001b[2K", ""),
        /^\[.{4,}\] 1000\/20000 loss 1\.2346 · 322 tokens\/s · accepted 87\.7 % · waited 1\.50 s$/,
      );
    }
  });

  it("writes plain lines now and then elsewhere", () => {
    const { written, out } = record(false);
    const progress = new Progress(out, 10);
    for (let step = 1; step <= 25; step++) progress.show({ ...FACTS, step, steps: 25 });
    assert.equal(written.length, 3);
    assert.equal(
      written[0],
      "step 10/25 loss 1.2346 · 322 tokens/s · accepted 87.7 % · waited 1.50 s for the teacher\n",
    );
  });
});

describe("formatTable", () => {
  it("pads every column but the last", () => {
    assert.deepEqual(
      formatTable(
        ["a", "bb", "c"],
        [
          ["111", "2", "3"],
          ["4", "5"],
        ],
      ),
      ["a    bb  c", "111  2   3", "4    5"],
    );
  });
});

describe("toSampleRecord", () => {
  const text = { piece: (id: number) => `<${id}>`, decode: (ids: Uint32Array) => ids.join(" ") };

  it("says who wrote what, the teacher's ranks and list, and which draft was replaced", () => {
    const record = toSampleRecord(
      {
        row: 4,
        sample: 1,
        epoch: 2,
        prompt: Uint32Array.of(7, 8),
        response: Uint32Array.of(5, 6),
        authors: Uint8Array.of(0, 1),
        finish: "stop",
        ranks: Int32Array.of(1, -1),
        rejected: Int32Array.of(-1, 9),
        signal: {
          from: 2,
          count: 2,
          topK: 2,
          tauCount: 0,
          topIds: Uint32Array.of(4, 5, 6, 3),
          topLogits: Float32Array.of(Math.log(3), Math.log(1), Math.log(2), Math.log(1)),
          lse: Float32Array.of(Math.log(4), Math.log(4)),
        },
        stats: { judged: 2, accepted: 1, replaced: 1, computedPositions: 2 },
      },
      { step: 12, batch: 3 },
      text,
    );
    assert.deepEqual(record, {
      step: 12,
      batch: 3,
      row: 4,
      sample: 1,
      epoch: 2,
      prompt: "7 8",
      finish: "stop",
      pieces: ["<5>", "<6>"],
      tokens: [5, 6],
      authors: [0, 1],
      ranks: [1, 0],
      teacherTop: [
        [
          ["<4>", 0.75],
          ["<5>", 0.25],
        ],
        [
          ["<6>", 0.5],
          ["<3>", 0.25],
        ],
      ],
      studentTokens: [null, "<9>"],
    });
  });
});
