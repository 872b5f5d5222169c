import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Tokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { NO_SIGNAL, type TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { UNMATCHED, type AlignedSignal } from "../losses/aligned-signal.js";
import type { ScoreAnswer, ScoreQuestion } from "./score-stream.js";
import { byteEnds, pairSpans, type SpanPair } from "./token-spans.js";
import { matchVocabularies, type VocabularyMatch } from "./vocabulary-match.js";

/** Which law stands for a run of several tokens. `last`: the last token's, times the probabilities of the run's other tokens before it (the
 * chain rule; TRL's `bayesian`); `first`: the first token's, times those behind it (TRL's `observed`). */
export type SpanMerge = "last" | "first";

export interface TranslationOptions {
  readonly student: Tokenizer;
  readonly teacher: Tokenizer;
  readonly merge: SpanMerge;
  /** Ids that end a response: the student's, of which any may, and the teacher's. */
  readonly stopIds: readonly number[];
  readonly teacherStopId: number | undefined;
}

/** The tokens of both that stand for the same bytes, and their ends of text. */
export function matchTokens(options: Omit<TranslationOptions, "merge">): VocabularyMatch {
  const { student, teacher, stopIds, teacherStopId } = options;
  const [stop] = stopIds;
  const hasEnds = stop !== undefined && teacherStopId !== undefined;
  return matchVocabularies(student, teacher, hasEnds ? [[teacherStopId, stop]] : []);
}

/** A teacher that counts tokens differently, for losses that can do with it: responses go to it as text, and what it thinks of its own tokens
 * comes back beside the student's. Prompts are in its own tokens already. */
export class TranslatingTeacher {
  readonly match: VocabularyMatch;
  readonly #inner: { score(question: ScoreQuestion): Promise<ScoreAnswer> };
  readonly #options: TranslationOptions;

  constructor(
    inner: { score(question: ScoreQuestion): Promise<ScoreAnswer> },
    options: TranslationOptions,
  ) {
    this.match = matchTokens(options);
    this.#inner = inner;
    this.#options = options;
  }

  /** Of `tokens` those before `from` are the teacher's, the others the student's.
   * @throws TandemError UNIMPLEMENTED when something is asked for that has no meaning in the student's tokens. */
  async score(question: ScoreQuestion): Promise<ScoreAnswer> {
    const { tokens, from, signal: spec, next: _next, atIds, ...rest } = question;
    const { topK } = spec;
    const plain = { ...NO_SIGNAL, topK, token: true };
    if (atIds !== undefined || JSON.stringify({ ...spec, token: true }) !== JSON.stringify(plain)) {
      throw new TandemError(
        "UNIMPLEMENTED",
        "a teacher with another tokenizer gives top lists and its tokens' logits only",
        { field: "losses" },
      );
    }
    const response = tokens.slice(from);
    const { ids, pairs } = this.#translate(response);
    if (ids.length === 0) {
      const signal = alignSignal(undefined, { pairs: [], count: response.length, topK, from });
      return { signal, computedPositions: 0, reusedPositions: 0 };
    }
    const joined = new Uint32Array(from + ids.length);
    joined.set(tokens.subarray(0, from));
    joined.set(ids, from);
    const answer = await this.#inner.score({ ...rest, tokens: joined, from, signal: plain });
    const signal = alignSignal(answer.signal, {
      pairs,
      count: response.length,
      topK,
      from,
      merge: this.#options.merge,
      toStudent: this.match.toStudent,
    });
    return { ...answer, signal };
  }

  /** The teacher's tokens of a response, and which belong together. A character cut off at the end is left out. */
  #translate(response: Uint32Array): {
    readonly ids: Uint32Array;
    readonly pairs: readonly SpanPair[];
  } {
    const { student, teacher, stopIds, teacherStopId } = this.#options;
    const stopped = response.length > 0 && stopIds.includes(response.at(-1)!);
    const written = stopped ? response.subarray(0, -1) : response;
    const { text, count } = readableText(student, written);
    const bytes = new TextEncoder().encode(text);
    const own = byteEnds(student, written.subarray(0, count), bytes);
    const content = teacher.encode(text, { special: false });
    const pairs = [...pairSpans(own, byteEnds(teacher, content, bytes))];
    const complete = pairs.at(-1)?.own[1] === written.length || written.length === 0;
    if (!stopped || teacherStopId === undefined || !complete) return { ids: content, pairs };
    pairs.push({
      own: [written.length, response.length],
      other: [content.length, content.length + 1],
    });
    return { ids: Uint32Array.of(...content, teacherStopId), pairs };
  }
}

/** The longest run of tokens from the start that spells whole characters, as text. */
function readableText(
  tokenizer: Tokenizer,
  ids: Uint32Array,
): { readonly text: string; readonly count: number } {
  const pieces = Array.from(ids, (id) => tokenizer.bytesOf(id));
  for (let count = ids.length; count >= 0; count--) {
    const bytes = Buffer.concat(pieces.slice(0, count));
    const text = bytes.toString("utf8");
    if (Buffer.from(text, "utf8").equals(bytes)) return { text, count };
  }
  return { text: "", count: 0 };
}

interface Alignment {
  readonly pairs: readonly SpanPair[];
  /** n, the student's tokens. */
  readonly count: number;
  readonly topK: number;
  readonly from: number;
  readonly merge?: SpanMerge;
  readonly toStudent?: Uint32Array;
}

function alignSignal(signal: TeacherSignal | undefined, alignment: Alignment): AlignedSignal {
  const { pairs, count, topK: asked, from, merge = "last", toStudent } = alignment;
  const topK = signal?.topK ?? asked;
  const spans = {
    run: new Uint32Array(count).fill(UNMATCHED),
    bears: new Uint8Array(count),
    others: new Float32Array(count),
  };
  const topIds = new Uint32Array(count * topK).fill(UNMATCHED);
  const topLogits = new Float32Array(count * topK);
  const [lse, logTail] = [new Float32Array(count), new Float32Array(count)];
  const [tokenLogit, rank] = [new Float32Array(count), new Uint32Array(count)];
  pairs.forEach(({ own, other }, run) => {
    const ends = merge === "last";
    const row = ends ? own[1] - 1 : own[0];
    const source = ends ? other[1] - 1 : other[0];
    spans.run.fill(run, own[0], own[1]);
    spans.bears[row] = 1;
    for (let j = other[0]; j < other[1]; j++) {
      if (j !== source) spans.others[row]! += signal!.tokenLogit![j]! - signal!.lse![j]!;
    }
    for (let place = 0; place < topK; place++) {
      topIds[row * topK + place] = toStudent![signal!.topIds![source * topK + place]!]!;
      topLogits[row * topK + place] = signal!.topLogits![source * topK + place]!;
    }
    lse[row] = signal!.lse![source]!;
    logTail[row] = signal!.logTail![source]!;
    tokenLogit[row] = signal!.tokenLogit![source]!;
    rank[row] = signal!.rank![source]!;
  });
  const parts = { topIds, topLogits, lse, logTail, tokenLogit, rank };
  return { from, count, topK, tauCount: 0, ...parts, spans };
}
