import { invariant } from "@tandem/shared/errors/invariant.js";
import {
  NO_SIGNAL,
  type SignalSpec,
  type TeacherSignal,
} from "@tandem/shared/wire/teacher-signal.js";

import type { Rollout } from "./rollout.js";
import type { StudentEngine } from "./student-engine.js";

type Text = Pick<Rollout, "prompt" | "response">;

/** Tokens of one forward pass: what activations are allowed to cost. */
const PASS_TOKENS = 4096;

export interface StudentSignalsOptions {
  readonly spec: Partial<SignalSpec>;
  /** Rows of one forward pass, for which there is room in the engine's memory. */
  readonly concurrency: number;
}

/** What the student itself thinks at every response position of finished texts, with the weights published last. Only for whoever has the
 * engine to himself. Empty responses have no law and give undefined. */
export async function studentSignals(
  engine: StudentEngine,
  texts: readonly Text[],
  { spec, concurrency }: StudentSignalsOptions,
): Promise<readonly (TeacherSignal | undefined)[]> {
  const asked = { ...NO_SIGNAL, ...spec };
  const cut = { ...asked, topK: Math.min(asked.topK, engine.runner.vocabulary) };
  const written = texts.filter(({ response }) => response.length > 0);
  const signals = new Map<Text, TeacherSignal | undefined>();
  for (const rows of passesOf(written, concurrency)) {
    const caches = rows.map(() => engine.newCache());
    const result = await engine.step(
      rows.map(({ prompt, response }, i) => ({
        cache: caches[i] as number,
        past: 0,
        // The last token is judged, not read.
        tokens: joinTokens({ prompt, response }).subarray(0, -1),
        maxLength: prompt.length + response.length,
        head: { first: prompt.length - 1, targets: response, spec: cut },
      })),
    );
    for (const cache of caches) engine.release(cache);
    rows.forEach((row, i) => signals.set(row, result.rows[i]?.signal));
  }
  return texts.map((text) => signals.get(text));
}

/** The student's k best ids at every response position, for whoever does not have the engine to himself. */
export async function studentLaws(
  engine: StudentEngine,
  rollouts: readonly Rollout[],
  topK: number,
): Promise<readonly (TeacherSignal | undefined)[]> {
  const options = { spec: { topK }, concurrency: Math.max(1, rollouts.length) };
  const laws = await engine.exclusive(() => studentSignals(engine, rollouts, options));
  return rollouts.map(({ response }, i) => {
    const law = laws[i];
    invariant(law !== undefined || response.length === 0, "a top list was asked for");
    return law;
  });
}

/** Consecutive rows, as many as fit into a pass; at least one. */
function passesOf(rows: readonly Text[], concurrency: number): Text[][] {
  const passes: Text[][] = [];
  let tokens = Infinity;
  for (const row of rows) {
    const own = row.prompt.length + row.response.length;
    const open = passes.at(-1);
    if (open === undefined || open.length >= concurrency || tokens + own > PASS_TOKENS) {
      passes.push([row]);
      tokens = own;
    } else {
      open.push(row);
      tokens += own;
    }
  }
  return passes;
}

/** Prompt and response in one. */
export function joinTokens({ prompt, response }: Text): Uint32Array {
  const tokens = new Uint32Array(prompt.length + response.length);
  tokens.set(prompt);
  tokens.set(response, prompt.length);
  return tokens;
}
