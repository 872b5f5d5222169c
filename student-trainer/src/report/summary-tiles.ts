import { escapeHtml } from "./escape-html.js";
import { formatNumber, formatSeconds, formatShare } from "./format-number.js";
import type { RunRecord, SummaryValue } from "./run-record.js";

interface Tile {
  readonly label: string;
  readonly value: string;
  readonly note: string;
}

/** The run in a handful of figures. What the summary does not say is taken from the curves; what neither says gets no tile. */
export function renderSummaryTiles(run: RunRecord): string {
  const tiles = [accuracyTile(run), acceptanceTile(run), lossTile(run), ...plainTiles(run)];
  const items = tiles
    .filter((tile) => tile !== undefined)
    .map(
      (tile) =>
        `<div class="tile"><dt>${tile.label}</dt><dd><strong>${tile.value}</strong><span>${tile.note}</span></dd></div>`,
    );
  return items.length === 0 ? "" : `<dl class="tiles">${items.join("")}</dl>`;
}

/** Everything summary.json says, as a table. */
export function renderSummaryTable(summary: ReadonlyMap<string, SummaryValue>): string {
  if (summary.size === 0) return "";
  const rows = [...summary].map(
    ([key, value]) =>
      `<tr><th scope="row">${escapeHtml(key)}</th><td>${escapeHtml(typeof value === "number" ? formatNumber(value) : String(value))}</td></tr>`,
  );
  return `<details class="summary"><summary>All of summary.json</summary><table><tbody>${rows.join("")}</tbody></table></details>`;
}

function accuracyTile({ summary, evaluations }: RunRecord): Tile | undefined {
  const before = numberOf(summary, "accuracyBefore") ?? evaluations[0]?.accuracy;
  const last = evaluations.length > 1 ? evaluations.at(-1)?.accuracy : undefined;
  const after = numberOf(summary, "accuracyAfter") ?? last;
  if (before === undefined || after === undefined) return undefined;
  const points = 100 * (after - before);
  return {
    label: "Accuracy",
    value: change(before, after, formatShare),
    note: `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)} points, exact match`,
  };
}

function acceptanceTile({ summary, steps }: RunRecord): Tile | undefined {
  const judged = steps.flatMap((step) => step.acceptance ?? []);
  const first = numberOf(summary, "acceptanceFirst") ?? judged[0];
  const last = numberOf(summary, "acceptanceLast") ?? judged.at(-1);
  if (first === undefined || last === undefined) return undefined;
  return {
    label: "Acceptance",
    value: change(first, last, formatShare),
    note: "of judged drafts, first to last",
  };
}

function lossTile({ steps }: RunRecord): Tile | undefined {
  const losses = steps.map((step) => step.loss).filter(Number.isFinite);
  const first = losses[0];
  const last = losses.at(-1);
  if (first === undefined || last === undefined) return undefined;
  return {
    label: "Loss",
    value: change(first, last, formatNumber),
    note: `nats per token, ${formatNumber(steps.length)} steps`,
  };
}

function plainTiles({ summary }: RunRecord): readonly Tile[] {
  const seconds = numberOf(summary, "seconds");
  const speed = numberOf(summary, "tokensPerSecond");
  return [
    ...(seconds === undefined
      ? []
      : [{ label: "Time", value: formatSeconds(seconds), note: "wall clock" }]),
    ...(speed === undefined
      ? []
      : [{ label: "Speed", value: formatNumber(speed), note: "tokens per second" }]),
  ];
}

function change(from: number, to: number, format: (value: number) => string): string {
  return `${format(from)} <span class="arrow" aria-label="to">→</span> ${format(to)}`;
}

function numberOf(summary: ReadonlyMap<string, SummaryValue>, key: string): number | undefined {
  const value = summary.get(key);
  return typeof value === "number" ? value : undefined;
}
