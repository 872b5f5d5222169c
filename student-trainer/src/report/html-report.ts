import { escapeHtml } from "./escape-html.js";
import { formatNumber, formatShare } from "./format-number.js";
import { renderLineChart } from "./line-chart.js";
import { pickSequences } from "./pick-sequences.js";
import type { RunRecord } from "./run-record.js";
import { renderSummaryTable, renderSummaryTiles } from "./summary-tiles.js";
import { renderTokenView } from "./token-view.js";

/** What the page needs besides the run; kept apart as real .css and .js files. */
export interface ReportAssets {
  readonly style: string;
  readonly script: string;
}

const TOKEN_VIEW = { maxStages: 6, maxPerStage: 6 };

/** One self-contained HTML page about a run: key figures, curves of loss, accuracy and acceptance, and the token view. It loads nothing, and
 * all text of the run is escaped. Pure: equal runs give equal pages. */
export function renderHtmlReport(run: RunRecord, assets: ReportAssets): string {
  const title = `${escapeHtml(run.name)} · Tandem run`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>${title}</title>
<style>
${assets.style}</style>
</head>
<body>
<main>
<header>
<p class="brand">Tandem <span>distillation report</span></p>
<h1>${escapeHtml(run.name)}</h1>
</header>
${renderSummaryTiles(run)}
${renderCharts(run)}
${renderTokenView(pickSequences(run.sequences, TOKEN_VIEW))}
${renderSummaryTable(run.summary)}
</main>
<script>
${assets.script}</script>
</body>
</html>
`;
}

function renderCharts({ steps, evaluations }: RunRecord): string {
  const lastStep = Math.max(steps.at(-1)?.step ?? 0, evaluations.at(-1)?.step ?? 0);
  const accepted = steps.flatMap(({ step, acceptance }) =>
    acceptance === undefined ? [] : [{ x: step, y: acceptance }],
  );
  const charts = [
    renderLineChart({
      id: "loss",
      title: "Loss",
      caption: "nats per token; faint: each step",
      points: steps.map(({ step, loss }) => ({ x: step, y: loss })),
      formatY: formatNumber,
      smoothed: true,
      range: { low: 0 },
      lastStep,
    }),
    renderLineChart({
      id: "accuracy",
      title: "Accuracy",
      caption: "exact match on held-out problems",
      points: evaluations.map(({ step, accuracy }) => ({ x: step, y: accuracy })),
      formatY: formatShare,
      smoothed: false,
      range: { low: 0, high: 1 },
      lastStep,
    }),
    renderLineChart({
      id: "acceptance",
      title: "Acceptance",
      caption: "judged drafts that were kept",
      points: accepted,
      formatY: formatShare,
      smoothed: false,
      range: { high: 1 },
      lastStep,
    }),
  ].filter((chart) => chart !== "");
  if (charts.length === 0) return `<p class="lead">Nothing has been recorded yet.</p>`;
  return `<section aria-label="Curves" class="charts">${charts.join("\n")}</section>`;
}
