import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { writeHtmlReport } from "@tandem/student-trainer/report/write-html-report.js";
import { ChromiumPage } from "./chromium-page.js";

describe("the report in Chromium", () => {
  let directory = "";
  let url = "";
  let page: ChromiumPage;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "tandem-report-"));
    const jsonLines = (rows: readonly unknown[]) =>
      rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    await writeFile(
      join(directory, "metrics.jsonl"),
      jsonLines([1, 2, 3].map((step) => ({ kind: "step", step, loss: 4 - step, acceptance: 0.5 }))),
    );
    const row = {
      step: 0,
      row: 0,
      prompt: "<b>2+2=</b>",
      finish: "stop",
      pieces: ["<i>", "4"],
      authors: [0, 1],
      ranks: [1, 0],
      teacherTop: [[["<i>", 0.25]], [["4", 0.75]]],
      studentTop: [[["<i>", 0.5]], [["5", 0.5]]],
      studentTokens: [null, "5"],
    };
    await writeFile(join(directory, "rollouts.jsonl"), jsonLines([row]));
    url = pathToFileURL(await writeHtmlReport(directory)).href;
    page = await ChromiumPage.open(url);
  });
  after(async () => {
    await page.close();
    await rm(directory, { recursive: true });
  });
  const cardText = () =>
    page.evaluate<string | null>(
      `(() => { const card = document.getElementById("token-card"); return card.hidden ? null : card.innerText; })()`,
    );
  const focus = (selector: string) =>
    page.evaluate(`document.querySelector(${JSON.stringify(selector)}).focus()`);

  it("loads nothing but itself and raises no error", () => {
    assert.deepEqual(page.requests, [url]);
    assert.deepEqual(page.problems, []);
  });

  it("shows rank and both distributions of the focused token, and walks with the arrow keys", async () => {
    assert.equal(await cardText(), null);
    await focus("button.token");
    assert.match((await cardText()) ?? "", /<i> written by the student, accepted · rank 1/);
    await page.press("ArrowRight");
    const text = (await cardText()) ?? "";
    assert.match(text, /4 written by the teacher · the teacher’s favourite/);
    assert.match(text, /replaces the student’s 5/);
    assert.match(text, /Teacher\s+4\s+75\.0 %\s+Student\s+5\s+50\.0 %/);
    await page.press("Escape");
    assert.equal(await cardText(), null);
  });

  it("shows a token's card under the pointer", async () => {
    const [x, y] = await page.evaluate<[number, number]>(
      `(() => { const token = document.querySelector("button.token"); token.scrollIntoView({ block: "center" }); token.blur();
        const box = token.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()`,
    );
    await page.movePointer(x, y);
    assert.match((await cardText()) ?? "", /written by the student/);
  });

  it("reads a chart point by point from the keyboard", async () => {
    await focus("#chart-loss .plot");
    const readout = () =>
      page.evaluate<string>(`document.querySelector("#chart-loss .readout").textContent`);
    await page.press("Home");
    assert.equal(await readout(), "step 1: 3");
    await page.press("ArrowRight");
    assert.equal(await readout(), "step 2: 2");
  });

  it("keeps the text of the run text", async () => {
    assert.equal(await page.evaluate(`document.querySelectorAll("b, i").length`), 0);
  });

  it("fits a narrow screen", async () => {
    await page.send("Emulation.setDeviceMetricsOverride", {
      width: 360,
      height: 800,
      deviceScaleFactor: 1,
      mobile: true,
    });
    assert.equal(await page.evaluate(`document.documentElement.scrollWidth`), 360);
  });
});
