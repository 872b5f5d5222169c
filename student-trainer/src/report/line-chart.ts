import { niceAxis, type Axis } from "./axis.js";
import { escapeHtml, toScriptJson } from "./escape-html.js";
import { smooth, thin, type Point } from "./series.js";

export interface LineChart {
  readonly id: string;
  readonly title: string;
  /** What is plotted, in words, for the caption. */
  readonly caption: string;
  readonly points: readonly Point[];
  readonly formatY: (y: number) => string;
  /** Draws a moving average over the raw line. */
  readonly smoothed: boolean;
  /** Fixed ends of the vertical axis where the quantity has them. */
  readonly range?: { readonly low?: number; readonly high?: number };
  /** Where the horizontal axis ends, so that charts side by side share it. */
  readonly lastStep: number;
}

const WIDTH = 380;
const HEIGHT = 220;
const PLOT = { left: 48, right: 366, top: 12, bottom: 190 };
const MAX_POINTS = 400;
/** Share of a run over which its raw line is averaged. */
const WINDOW = 0.05;

/** A line over training steps as a self-contained SVG figure: readable without script, walked point by point with the arrow keys, with its
 * numbers in a table. Returns "" when no point is finite. */
export function renderLineChart(given: LineChart): string {
  const chart = { ...given, points: given.points.filter((point) => Number.isFinite(point.y)) };
  if (chart.points.length === 0) return "";
  const raw = thin(chart.points, MAX_POINTS);
  const line = chart.smoothed
    ? thin(smooth(chart.points, WINDOW * chart.points.length), MAX_POINTS)
    : raw;
  const values = chart.points.map((point) => point.y);
  const low = chart.range?.low ?? minimum(values);
  const high = chart.range?.high ?? maximum(values);
  const x = niceAxis(0, Math.max(1, chart.lastStep), 5);
  const y = niceAxis(low, high, 4);
  const place = (point: Point): readonly [number, number] => [
    along(point.x, x, PLOT.left, PLOT.right),
    along(point.y, y, PLOT.bottom, PLOT.top),
  ];
  const read = line.map((point) => [...place(point), point.x, chart.formatY(point.y)]);
  const dots =
    line.length <= 40
      ? line
          .map(
            (point) =>
              `<circle class="dot" cx="${place(point)[0]}" cy="${place(point)[1]}" r="3"/>`,
          )
          .join("")
      : "";
  return `<figure class="chart" id="chart-${escapeHtml(chart.id)}">
<figcaption><strong>${escapeHtml(chart.title)}</strong> <span>${escapeHtml(chart.caption)}</span></figcaption>
<div class="plot" tabindex="0" role="group" aria-label="${escapeHtml(chart.title)} by training step, ${describe(chart)}. Left and right arrows read single points.">
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" aria-hidden="true">
${renderAxes(x, y, chart.formatY)}
${chart.smoothed ? `<path class="raw" d="${toPath(raw, place)}"/>` : ""}
<path class="line" d="${toPath(line, place)}"/>${dots}
<g class="cursor" hidden><line y1="${PLOT.top}" y2="${PLOT.bottom}"/><circle r="4.5"/></g>
</svg>
<output class="readout" aria-live="polite"></output>
<script type="application/json" class="points">${toScriptJson(read)}</script>
</div>
${renderTable(chart)}
</figure>`;
}

function renderAxes(x: Axis, y: Axis, formatY: (y: number) => string): string {
  const rows = y.ticks.map((tick) => {
    const at = along(tick, y, PLOT.bottom, PLOT.top);
    return `<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${at}" y2="${at}"/><text class="tick" x="${PLOT.left - 8}" y="${at + 3.5}" text-anchor="end">${escapeHtml(formatY(tick))}</text>`;
  });
  const columns = x.ticks.map((tick) => {
    const at = along(tick, x, PLOT.left, PLOT.right);
    return `<text class="tick" x="${at}" y="${PLOT.bottom + 18}" text-anchor="middle">${tick}</text>`;
  });
  return [...rows, ...columns].join("\n");
}

function renderTable({ points, formatY, title }: LineChart): string {
  const rows = thin(points, 25).map(
    (point) => `<tr><td>${point.x}</td><td>${escapeHtml(formatY(point.y))}</td></tr>`,
  );
  return `<details><summary>Numbers</summary><table><thead><tr><th scope="col">Step</th><th scope="col">${escapeHtml(title)}</th></tr></thead><tbody>${rows.join("")}</tbody></table></details>`;
}

function describe({ points, formatY }: LineChart): string {
  const first = points[0] as Point;
  const last = points.at(-1) as Point;
  return escapeHtml(
    `from ${formatY(first.y)} at step ${first.x} to ${formatY(last.y)} at step ${last.x}`,
  );
}

function along(value: number, axis: Axis, from: number, to: number): number {
  const share = (value - axis.low) / (axis.high - axis.low);
  return Math.round((from + share * (to - from)) * 10) / 10;
}

function toPath(
  points: readonly Point[],
  place: (point: Point) => readonly [number, number],
): string {
  return points
    .map((point, index) => `${index === 0 ? "M" : "L"}${place(point).join(" ")}`)
    .join("");
}

// Spreading a long array into Math.min overflows the stack.
function minimum(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Infinity);
}

function maximum(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -Infinity);
}
