import { escapeHtml, toScriptJson } from "./escape-html.js";
import { formatShare } from "./format-number.js";
import type { Stage } from "./pick-sequences.js";
import type { Candidate, SampleSequence, SampleToken } from "./run-record.js";

/** Characters that fit beside a note; longer sequences get the width for themselves. */
const ONE_LINE = 90;

/** The text as it was written: every token in the colour and dress of its author, one section per training step.
 * Details of a token (rank, both distributions) travel as JSON and are shown by the page's script on hover and focus. */
export function renderTokenView(stages: readonly Stage[]): string {
  if (stages.length === 0) return "";
  const details = stages.map((stage) => stage.sequences.map((one) => one.tokens.map(toDetail)));
  return `<section aria-labelledby="token-view-title">
<h2 id="token-view-title">Token view</h2>
<p class="lead">Text as it was written, step by step of training: the student drafts, the teacher judges every token and replaces what it rejects. Hover a token, or focus it and walk with the arrow keys, to see its rank and what both models thought.</p>
<ul class="legend" aria-label="Legend">
<li><span class="token student">kept</span> written by the student, accepted</li>
<li><span class="token student unsure">kept</span> accepted, but not the teacher’s favourite (rank ≥ 1)</li>
<li><span class="token teacher">new</span> written by the teacher in place of a rejected draft</li>
${stages.some(hasData) ? '<li><span class="token data">given</span> taken from the data</li>' : ""}
</ul>
${stages.map(renderStage).join("\n")}
<div id="token-card" role="tooltip" hidden></div>
<script type="application/json" id="token-details">${toScriptJson(details)}</script>
</section>`;
}

function renderStage(stage: Stage, stageIndex: number): string {
  const tokens = stage.sequences.flatMap((sequence) => sequence.tokens);
  const byStudent = tokens.filter((token) => token.author === "student").length;
  const share = tokens.length === 0 ? 0 : byStudent / tokens.length;
  const sequences = stage.sequences.map((sequence, index) =>
    renderSequence(sequence, stageIndex, index),
  );
  return `<section class="stage" aria-labelledby="stage-${stageIndex}">
<h3 id="stage-${stageIndex}"><span class="step">Step ${stage.step}</span> <span class="meter" aria-hidden="true"><span style="width:${Math.round(100 * share)}%"></span></span> <small>${formatShare(share)} of these tokens are the student’s</small></h3>
${sequences.join("\n")}
</section>`;
}

function renderSequence(sequence: SampleSequence, stage: number, index: number): string {
  const replaced = sequence.tokens.filter((token) => token.author === "teacher").length;
  const label = `Row ${sequence.row}: ${sequence.tokens.length} tokens, ${replaced} by the teacher`;
  const tokens = sequence.tokens.map(
    (token, at) =>
      `<button type="button" class="${tokenClass(token)}" data-at="${at}" tabindex="${at === 0 ? 0 : -1}" aria-label="${escapeHtml(spokenToken(token))}">${renderPiece(token.piece)}</button>`,
  );
  const length = sequence.tokens.reduce(
    (sum, token) => sum + token.piece.length,
    sequence.prompt.length,
  );
  return `<div class="sequence${length > ONE_LINE ? " long" : ""}" role="group" aria-label="${escapeHtml(label)}" data-stage="${stage}" data-sequence="${index}">
<div class="text"><span class="prompt">${renderPiece(sequence.prompt)}</span>${tokens.join("")}</div>
<div class="note" aria-hidden="true">row ${sequence.row} · ${replaced} of ${sequence.tokens.length} by the teacher${sequence.finish === "length" ? " · cut at the length limit" : ""}</div>
</div>`;
}

function tokenClass({ author, rank }: SampleToken): string {
  return `token ${author}${author === "student" && (rank ?? 0) > 0 ? " unsure" : ""}`;
}

function spokenToken({ piece, author, rank }: SampleToken): string {
  const spoken = piece.trim() === "" ? JSON.stringify(piece) : piece;
  return `${spoken}, ${author}${rank === undefined ? "" : `, rank ${rank}`}`;
}

/** Line breaks are shown by a sign and then take place. */
function renderPiece(piece: string): string {
  return escapeHtml(piece).replaceAll("\n", '<span class="sign">↵</span>\n');
}

/** [author, rank | null, draft | null, teacher's candidates, student's candidates], short because there are thousands. */
function toDetail(token: SampleToken): readonly unknown[] {
  const pairs = (candidates: readonly Candidate[]): readonly unknown[] =>
    candidates.map(({ piece, probability }) => [piece, Number(probability.toPrecision(3))]);
  return [
    token.author,
    token.rank ?? null,
    token.draft ?? null,
    pairs(token.teacherTop),
    pairs(token.studentTop),
  ];
}

function hasData(stage: Stage): boolean {
  return stage.sequences.some((one) => one.tokens.some((token) => token.author === "data"));
}
