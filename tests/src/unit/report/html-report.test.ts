import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { renderHtmlReport } from "@tandem/student-trainer/report/html-report.js";
import { pickSequences } from "@tandem/student-trainer/report/pick-sequences.js";
import type { RunRecord, SampleSequence } from "@tandem/student-trainer/report/run-record.js";

const ASSETS = { style: "/* style */\n", script: "// script\n" };

function sequenceAt(step: number, row = 0): SampleSequence {
  return {
    step,
    row,
    sample: 0,
    prompt: "3*4=",
    finish: "stop",
    tokens: [
      {
        piece: "1",
        author: "student",
        rank: 0,
        teacherTop: [{ piece: "1", probability: 0.75 }],
        studentTop: [],
      },
      { piece: "2", author: "teacher", rank: 0, draft: "7", teacherTop: [], studentTop: [] },
      { piece: "\n", author: "student", rank: 2, teacherTop: [], studentTop: [] },
    ],
  };
}

function runWith(parts: Partial<RunRecord>): RunRecord {
  return {
    name: "run",
    steps: [],
    evaluations: [],
    sequences: [],
    summary: new Map(),
    ...parts,
  };
}

describe("renderHtmlReport", () => {
  it("says so when nothing has been recorded", () => {
    const page = renderHtmlReport(runWith({}), ASSETS);
    assert.match(page, /Nothing has been recorded yet/);
    assert.doesNotMatch(page, /<svg/);
  });

  it("draws one chart for each curve that has points", () => {
    const steps = [
      { step: 1, loss: 2 },
      { step: 2, loss: 1 },
    ];
    const page = renderHtmlReport(runWith({ steps }), ASSETS);
    assert.match(page, /id="chart-loss"/);
    assert.doesNotMatch(page, /id="chart-acceptance"|id="chart-accuracy"/);
    assert.match(page, /from 2 at step 1 to 1 at step 2/);
  });

  it("skips losses that are not finite", () => {
    const steps = [
      { step: 1, loss: NaN },
      { step: 2, loss: 1 },
    ];
    assert.doesNotMatch(renderHtmlReport(runWith({ steps }), ASSETS), /NaN/);
  });

  it("dresses every token by its author and says it in words", () => {
    const page = renderHtmlReport(runWith({ sequences: [sequenceAt(0)] }), ASSETS);
    assert.match(page, /class="token student"[^>]*aria-label="1, student, rank 0"/);
    assert.match(page, /class="token teacher"[^>]*aria-label="2, teacher, rank 0"/);
    assert.match(
      page,
      /class="token student unsure"[^>]*aria-label="&quot;\\n&quot;, student, rank 2"/,
    );
    assert.match(page, /\["teacher",0,"7",\[\],\[\]\]/);
    assert.match(page, /66\.7 % of these tokens are the student/);
  });

  it("lets no text of the run become markup or script", () => {
    const evil = `</script><img src=x onerror="alert('1')">`;
    const sequence = sequenceAt(0);
    const page = renderHtmlReport(
      runWith({
        name: evil,
        summary: new Map([[evil, evil]]),
        sequences: [
          {
            ...sequence,
            prompt: evil,
            finish: evil,
            tokens: [
              {
                piece: evil,
                author: "student",
                draft: evil,
                teacherTop: [{ piece: evil, probability: 1 }],
                studentTop: [],
              },
            ],
          },
        ],
      }),
      ASSETS,
    );
    assert.doesNotMatch(page, /<img/);
    // The page's own: details of the tokens and the script.
    assert.equal(page.match(/<\/script>/g)?.length, 2);
  });

  it("takes the first and last acceptance from the curve when the summary is silent", () => {
    const steps = [0.5, 0.8, 0.9].map((acceptance, step) => ({ step, loss: 1, acceptance }));
    assert.match(renderHtmlReport(runWith({ steps }), ASSETS), /50 % .*→.* 90 %/);
    const summary = new Map([
      ["acceptanceFirst", 0.25],
      ["acceptanceLast", 1],
    ]);
    assert.match(renderHtmlReport(runWith({ steps, summary }), ASSETS), /25 % .*→.* 100 %/);
  });

  it("gives a long sequence the width for itself", () => {
    const long = { ...sequenceAt(0), prompt: "word ".repeat(30) };
    const page = renderHtmlReport(runWith({ sequences: [sequenceAt(0), long] }), ASSETS);
    assert.equal(page.match(/class="sequence"/g)?.length, 1);
    assert.equal(page.match(/class="sequence long"/g)?.length, 1);
  });

  it("claims no change of accuracy before there is a second evaluation", () => {
    const evaluations = [{ step: 0, accuracy: 0.25 }];
    assert.doesNotMatch(renderHtmlReport(runWith({ evaluations }), ASSETS), /exact match<\/span>/);
    const two = [...evaluations, { step: 9, accuracy: 0.75 }];
    assert.match(
      renderHtmlReport(runWith({ evaluations: two }), ASSETS),
      /\+50\.0 points, exact match<\/span>/,
    );
  });

  it("refers to nothing outside itself", () => {
    const page = renderHtmlReport(
      runWith({ steps: [{ step: 1, loss: 1, acceptance: 1 }], sequences: [sequenceAt(0)] }),
      ASSETS,
    );
    assert.doesNotMatch(page, /https?:|src=|href=|@import|url\(/);
  });
});

describe("pickSequences", () => {
  it("takes first, last and evenly spaced steps, and some sequences of each", () => {
    const sequences = Array.from({ length: 25 }, (_, index) => [
      sequenceAt(index * 12, 0),
      sequenceAt(index * 12, 1),
      sequenceAt(index * 12, 2),
    ]).flat();
    const stages = pickSequences(sequences, { maxStages: 5, maxPerStage: 2 });
    assert.deepEqual(
      stages.map((stage) => stage.step),
      [0, 72, 144, 216, 288],
    );
    assert.deepEqual(
      stages[1]?.sequences.map((one) => one.row),
      [0, 1],
    );
  });

  it("shows every step of a short run once", () => {
    const stages = pickSequences([sequenceAt(3)], { maxStages: 6, maxPerStage: 6 });
    assert.deepEqual(
      stages.map((stage) => stage.step),
      [3],
    );
  });
});
