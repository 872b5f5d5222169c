import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { renderHtmlReport } from "./html-report.js";
import { readRun } from "./read-run.js";

const ASSETS = new URL("../../assets/report/", import.meta.url);

/** Writes RUN_DIR/report.html from what the run directory holds, whole or not at all, and returns its path.
 * @throws TandemError NOT_FOUND without the directory, DATA_LOSS naming file and line when a line is damaged. */
export async function writeHtmlReport(runDirectory: string): Promise<string> {
  const run = await readRun(runDirectory);
  const [style, script] = await Promise.all(
    ["report.css", "report.js"].map((name) => readFile(new URL(name, ASSETS), "utf8")),
  );
  const path = join(runDirectory, "report.html");
  const unfinished = `${path}.tmp`;
  await writeFile(unfinished, renderHtmlReport(run, { style: style ?? "", script: script ?? "" }));
  await rename(unfinished, path);
  return path;
}
