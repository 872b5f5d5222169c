import { drawBlocks } from "./draws-graph.js";
import type { HeadQuery, HeadReply, HeadSession } from "./head-session.js";
import type { LawAnswers } from "./law-answers.js";
import type { HeadRequest } from "./step.js";

/** A request whose hidden states are there. */
export interface OpenRequest {
  readonly head: HeadRequest;
  /** f32 [n,D]. */
  readonly hidden: Float32Array;
  readonly answers: LawAnswers;
}

/** Consecutive laws of one request inside a chunk. */
interface Segment {
  readonly request: OpenRequest;
  readonly law: number;
  readonly rows: number;
}

/** Arrays of [rows,V] that live at once in a head run: logits, the masked copy, their softmax. */
const LIVE_ARRAYS = 3;
/** Logits of drafts up to this size leave the session with the first run; fetching them for the rejected ones in a second run would
 * read the head's matrix once more. */
const KEPT_LOGIT_BYTES = 16 << 20;
/** Beyond this a chunk gains nothing: matrices are large enough. */
const MAX_CHUNK_ROWS = 256;

/** What makes one head run larger than another. */
interface HeadSizes {
  readonly tauCount: number;
  readonly drawCount: number;
}

/** Rows of one head run under the byte budget; at least one. */
function headChunkRows(
  vocabulary: number,
  { tauCount, drawCount }: HeadSizes,
  headBytes: number,
): number {
  // Draws: cumulated sums of the vocabulary, and of one block for each, in float64.
  const drawBytes =
    drawCount === 0 ? 0 : 16 * vocabulary + 24 * drawCount * drawBlocks(vocabulary).width;
  const rowBytes = 4 * vocabulary * (LIVE_ARRAYS + 3 * tauCount) + drawBytes;
  return Math.max(1, Math.min(MAX_CHUNK_ROWS, Math.floor(headBytes / rowBytes)));
}

/** Answers all laws of all requests: those with equal list length, number of temperatures and number of draws share runs, whatever row they come from. */
export async function answerRequests(
  session: HeadSession,
  requests: readonly OpenRequest[],
  headBytes: number,
): Promise<void> {
  const drafts = requests.reduce(
    (sum, { head, answers }) => sum + (head.verify ? answers.count : 0),
    0,
  );
  const keepLogits = 4 * session.vocabulary * drafts <= Math.min(KEPT_LOGIT_BYTES, headBytes);
  for (const { head, answers } of requests)
    answers.keepLogits = keepLogits && head.verify !== undefined;
  const classes = new Map<string, OpenRequest[]>();
  for (const request of requests) {
    const { topK, tauCount, drawCount } = request.answers;
    const key = `${topK}:${tauCount}:${drawCount}`;
    classes.set(key, [...(classes.get(key) ?? []), request]);
  }
  for (const members of classes.values()) {
    const { topK, tauCount, drawCount } = members[0]!.answers;
    const rows = headChunkRows(session.vocabulary, { tauCount, drawCount }, headBytes);
    for (const chunk of cutIntoChunks(members, rows)) {
      const reply = await session.run(toQuery(chunk, { topK, tauCount, drawCount }));
      distribute(chunk, reply, session.vocabulary);
    }
  }
}

function cutIntoChunks(requests: readonly OpenRequest[], rowsPerChunk: number): Segment[][] {
  const chunks: Segment[][] = [];
  let room = 0;
  for (const request of requests) {
    for (let law = 0; law < request.answers.count;) {
      if (room === 0) {
        chunks.push([]);
        room = rowsPerChunk;
      }
      const rows = Math.min(room, request.answers.count - law);
      chunks.at(-1)!.push({ request, law, rows });
      law += rows;
      room -= rows;
    }
  }
  return chunks;
}

function toQuery(
  chunk: readonly Segment[],
  { topK, tauCount, drawCount }: HeadSizes & { readonly topK: number },
): HeadQuery {
  const n = chunk.reduce((sum, { rows }) => sum + rows, 0);
  const first = chunk[0]!.request;
  const D = first.hidden.length / first.answers.count;
  const atWidth = chunk.reduce((width, segment) => Math.max(width, widestAtList(segment)), 0);
  const hidden = new Float32Array(n * D);
  const targets = new BigInt64Array(n);
  const topPMasses = new Float64Array(n);
  const taus = new Float32Array(n * tauCount);
  const atIds = new BigInt64Array(n * atWidth);
  const momentRows: number[] = [];
  const massRows: number[] = [];
  const denseRows: number[] = [];
  const drawRows: number[] = [];
  const drawTaus: number[] = [];
  const uniforms = new Float64Array(n * drawCount);
  let at = 0;
  for (const { request, law, rows } of chunk) {
    const { head, answers } = request;
    hidden.set(request.hidden.subarray(law * D, (law + rows) * D), at * D);
    taus.set(answers.taus.subarray(law * tauCount, (law + rows) * tauCount), at * tauCount);
    for (let i = law; i < law + rows; i++, at++) {
      // A law that is sampled has no target yet; its rank is set when it has one.
      targets[at] = BigInt(head.targets[i] ?? 0);
      topPMasses[at] = head.spec.topPMass;
      if (answers.wantsMoments) momentRows.push(at);
      if (answers.wantsMass) massRows.push(at);
      if (answers.wantsDense(i)) denseRows.push(at);
      if (drawCount > 0) {
        uniforms.set(answers.drawUniforms(i), drawRows.length * drawCount);
        drawRows.push(at);
        drawTaus.push(head.spec.drawTemperature);
      }
      atList(head, i).forEach((id, column) => (atIds[at * atWidth + column] = BigInt(id)));
    }
  }
  return {
    hidden,
    targets,
    topK,
    topPMasses,
    taus,
    tauCount,
    atIds,
    atWidth,
    momentRows,
    massRows,
    denseRows,
    drawRows,
    drawTaus,
    uniforms,
    drawCount,
  };
}

function atList({ atIds, atOffsets }: HeadRequest, law: number): Uint32Array {
  return atIds === undefined || atOffsets === undefined
    ? new Uint32Array(0)
    : atIds.subarray(atOffsets[law]!, atOffsets[law + 1]!);
}

function widestAtList({ request, law, rows }: Segment): number {
  let width = 0;
  for (let i = law; i < law + rows; i++) width = Math.max(width, atList(request.head, i).length);
  return width;
}

/** Hands each segment its rows. The lists of rows were made in the same order, so each is consumed from its front. */
function distribute(chunk: readonly Segment[], reply: HeadReply, vocabulary: number): void {
  const atWidth = reply.atLogits.length / reply.lse.length;
  let at = 0;
  let moment = 0;
  let mass = 0;
  let dense = 0;
  for (const { request, law, rows } of chunk) {
    const { answers } = request;
    answers.takeRows(reply, { law, from: at, rows });
    for (let i = law; i < law + rows; i++, at++) {
      if (answers.wantsMoments) {
        answers.meanLogit[i] = reply.meanLogit[moment]!;
        answers.entropy[i] = reply.entropy[moment++]!;
      }
      if (answers.wantsMass) answers.massAbove[i] = reply.massAbove[mass++]!;
      answers.takeDraws(i, reply, at);
      answers.takeAtLogits(i, reply.atLogits.subarray(at * atWidth, (at + 1) * atWidth));
      if (answers.wantsDense(i)) {
        answers.takeDense(i, reply.dense.subarray(dense * vocabulary, (dense + 1) * vocabulary));
        dense++;
      }
    }
  }
}

/** Raw logits of single laws, for the few rows where a token has to be drawn after the verdict. f32 [V] per row, in order. */
export async function* denseRows(
  session: HeadSession,
  hidden: readonly Float32Array[],
  headBytes: number,
): AsyncGenerator<Float32Array> {
  const V = session.vocabulary;
  const rowsPerChunk = headChunkRows(V, { tauCount: 0, drawCount: 0 }, headBytes);
  for (let begin = 0; begin < hidden.length; begin += rowsPerChunk) {
    const chunk = hidden.slice(begin, begin + rowsPerChunk);
    const D = chunk[0]!.length;
    const packed = new Float32Array(chunk.length * D);
    chunk.forEach((row, i) => packed.set(row, i * D));
    const reply = await session.run({
      hidden: packed,
      targets: new BigInt64Array(chunk.length),
      topK: 0,
      topPMasses: new Float64Array(chunk.length).fill(1),
      taus: new Float32Array(0),
      tauCount: 0,
      atIds: new BigInt64Array(0),
      atWidth: 0,
      momentRows: [],
      massRows: [],
      denseRows: chunk.map((_, i) => i),
      drawRows: [],
      drawTaus: [],
      uniforms: new Float64Array(0),
      drawCount: 0,
    });
    for (let i = 0; i < chunk.length; i++) yield reply.dense.subarray(i * V, (i + 1) * V);
  }
}
