import { listStart } from "@tandem/shared/wire/signal-parts.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

import { spansOf, UNMATCHED } from "../losses/aligned-signal.js";
import type { Rollout } from "../rollout/rollout.js";

/** Text of single tokens, as people read them. */
export interface PieceReader {
  piece(id: number): string;
  decode(ids: Uint32Array): string;
}

/** One sequence of `rollouts.jsonl`: what was written, by whom, and what the teacher thought. */
export interface SampleRecord {
  readonly step: number;
  readonly batch: number;
  readonly row: number;
  readonly sample: number;
  readonly epoch: number;
  readonly prompt: string;
  /** What the teacher saw in place of it. */
  readonly teacherPrompt?: string;
  readonly finish: "stop" | "length";
  /** Text of each response token. */
  readonly pieces: readonly string[];
  readonly tokens: readonly number[];
  /** AUTHOR per token. */
  readonly authors: readonly number[];
  /** The teacher's rank of each token, null where unknown. */
  readonly ranks: readonly (number | null)[];
  /** Per token the teacher's most probable ids, falling. */
  readonly teacherTop?: readonly (readonly (readonly [string, number])[])[];
  /** The same for the student. */
  readonly studentTop?: readonly (readonly (readonly [string, number])[])[];
  /** The draft that the teacher replaced, null elsewhere. */
  readonly studentTokens?: readonly (string | null)[];
}

/** Stands for a token that the student does not have. */
const NO_PIECE = "—";

/** Candidates per position and model. */
export const TOP = 5;

/** Turns a rollout into a record for people. */
export function toSampleRecord(
  rollout: Rollout,
  place: { readonly step: number; readonly batch: number },
  text: PieceReader,
  student?: TeacherSignal,
): SampleRecord {
  const { row, sample, epoch, prompt, teacherPrompt, finish, response, authors, ...seen } = rollout;
  const { rejected, signal } = seen;
  // In the tokens of another tokenizer.
  const foreign = spansOf(signal) !== undefined;
  return {
    ...place,
    row,
    sample,
    epoch,
    prompt: text.decode(prompt),
    ...(teacherPrompt === undefined || foreign
      ? {}
      : { teacherPrompt: text.decode(teacherPrompt) }),
    finish,
    pieces: [...response].map((id) => text.piece(id)),
    tokens: [...response],
    authors: [...authors],
    ranks: [...response].map((id, i) => rankAt(rollout, id, i)),
    ...(signal?.topIds === undefined ? {} : { teacherTop: topLists(signal, text) }),
    ...(student === undefined ? {} : { studentTop: topLists(student, text) }),
    ...(rejected === undefined
      ? {}
      : { studentTokens: [...rejected].map((id) => (id < 0 ? null : text.piece(id))) }),
  };
}

/** From the verdict or the signal; else the place in the top list, where ids are sorted by logit. */
function rankAt({ ranks, signal }: Rollout, id: number, i: number): number | null {
  const known = ranks?.[i] ?? -1;
  if (known >= 0) return known;
  if (signal?.rank !== undefined) return signal.rank[i] ?? null;
  if (signal?.topIds === undefined) return null;
  const place = signal.topIds.subarray(listStart(signal, i), listStart(signal, i + 1)).indexOf(id);
  return place < 0 ? null : place;
}

function topLists(signal: TeacherSignal, text: PieceReader): [string, number][][] {
  return Array.from({ length: signal.count }, (_, i) => {
    const begin = listStart(signal, i);
    const length = Math.min(TOP, listStart(signal, i + 1) - begin);
    return Array.from({ length }, (__, j): [string, number] => {
      const id = signal.topIds?.[begin + j] ?? 0;
      const logit = signal.topLogits?.[begin + j] ?? -Infinity;
      const probability = Math.exp(logit - (signal.lse?.[i] ?? 0));
      return [id === UNMATCHED ? NO_PIECE : text.piece(id), Number(probability.toPrecision(5))];
    });
  });
}
