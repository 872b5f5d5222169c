import type { InterleaveRequest } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse__Output } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { SignalSpec } from "@tandem/proto/gen/tandem/v1/SignalSpec.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import type { Verdict__Output } from "@tandem/proto/gen/tandem/v1/Verdict.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";
import type { Rules, Sequence, Student, Written } from "./skd-oracle.js";

export interface DriveOptions {
  readonly client: TeacherClient;
  readonly sequences: readonly Sequence[];
  readonly rules: Rules;
  readonly student: Student;
  /** γ. */
  readonly blockLength: number;
  /** Unanswered blocks per sequence. */
  readonly ahead?: number;
  readonly signal?: SignalSpec;
  /** After this many verdicts the stream is thrown away and everything is opened again. */
  readonly reopenAfter?: number;
}

export interface Driven extends Written {
  readonly verdicts: readonly Verdict__Output[];
  /** Drafts that were judged per verdict: through the first stop and the last free place. */
  readonly judged: readonly number[];
  readonly stales: number;
}

interface Progress {
  readonly sequence: Sequence;
  readonly tokens: number[];
  readonly byTeacher: boolean[];
  readonly verdicts: Verdict__Output[];
  readonly judged: number[];
  finish: Written["finish"] | undefined;
  replacements: number;
  stales: number;
  /** Blocks without an answer, and whether a rejection before them has made them stale. */
  unanswered: { readonly start: number; readonly draft: readonly number[]; doomed: boolean }[];
}

/** Writes sequences over one Interleave stream with blocks of γ drafts, up to `ahead` of them unanswered, as a client would. */
export async function driveInterleave(options: DriveOptions): Promise<readonly Driven[]> {
  const all = options.sequences.map((sequence): Progress => ({
    sequence,
    tokens: [],
    byTeacher: [],
    verdicts: [],
    judged: [],
    finish: undefined,
    replacements: 0,
    stales: 0,
    unanswered: [],
  }));
  let stream = openAll(options, all);
  let reopenAfter = options.reopenAfter ?? Infinity;
  for (const progress of all) await draftAhead(options, stream, progress);
  while (all.some(({ finish, unanswered }) => finish === undefined || unanswered.length > 0)) {
    const message = await stream.next();
    if (message === undefined) throw new Error("the stream ended");
    if (message.errors.length > 0) throw new Error(JSON.stringify(message.errors));
    for (const verdict of message.verdicts) take(verdict, find(all, verdict.sequence));
    for (const stale of message.stales) takeStale(stale.start, find(all, stale.sequence));
    if (all.reduce((sum, { verdicts }) => sum + verdicts.length, 0) >= reopenAfter) {
      reopenAfter = Infinity;
      stream.call.on("error", () => {});
      stream.call.cancel();
      stream = openAll(options, all);
      for (const progress of all) progress.unanswered = [];
    }
    for (const progress of all) await draftAhead(options, stream, progress);
  }
  await stream.finish();
  return all.map((progress) => ({ ...progress, finish: progress.finish as Written["finish"] }));
}

function openAll(
  options: DriveOptions,
  all: readonly Progress[],
): TeacherStream<InterleaveRequest, InterleaveResponse__Output> {
  const stream = new TeacherStream(options.client.interleave());
  const { rule, temperature, topK, topP, runSeed } = options.rules;
  const opens = all
    .filter(({ finish }) => finish === undefined)
    .map(({ sequence, tokens }) => ({
      sequence: sequence.id,
      rngKey: sequence.rngKey,
      prompt: u32(sequence.prompt),
      response: u32(tokens),
      maxResponse: sequence.maxResponse,
      stopIds: [...sequence.stopIds],
      rule,
      sampling: { temperature, topK, topP },
      signal: options.signal ?? null,
      runSeed,
    }));
  stream.send({ opens });
  return stream;
}

async function draftAhead(
  { student, blockLength, ahead = 1 }: DriveOptions,
  stream: TeacherStream<InterleaveRequest, InterleaveResponse__Output>,
  progress: Progress,
): Promise<void> {
  const { sequence, unanswered } = progress;
  const hoped = [
    ...progress.tokens,
    ...unanswered.filter(({ doomed }) => !doomed).flatMap(({ draft }) => draft),
  ];
  while (
    progress.finish === undefined &&
    unanswered.filter(({ doomed }) => !doomed).length < ahead
  ) {
    if (
      hoped.length >= sequence.maxResponse ||
      (unanswered.length > 0 && hoped.some((token) => sequence.stopIds.includes(token)))
    )
      return;
    const start = hoped.length;
    const draft: number[] = [];
    for (let i = 0; i < blockLength; i++) {
      draft.push(await student(sequence, hoped));
      hoped.push(draft[i] as number);
    }
    unanswered.push({ start, draft, doomed: false });
    stream.send({
      drafts: [
        {
          sequence: sequence.id,
          start,
          replacementsSeen: progress.replacements,
          tokens: u32(draft),
        },
      ],
    });
  }
}

function take(verdict: Verdict__Output, progress: Progress): void {
  const block = progress.unanswered.shift();
  if (block?.start !== verdict.start || block.doomed)
    throw new Error(`verdict on ${verdict.start}, expected ${JSON.stringify(block)}`);
  const { sequence } = progress;
  const stop = block.draft.findIndex((token) => sequence.stopIds.includes(token));
  progress.judged.push(
    Math.min(
      stop < 0 ? Infinity : stop + 1,
      block.draft.length,
      sequence.maxResponse - block.start,
    ),
  );
  progress.verdicts.push(verdict);
  progress.tokens.push(...block.draft.slice(0, verdict.accepted));
  progress.byTeacher.push(...block.draft.slice(0, verdict.accepted).map(() => false));
  if (verdict.replacement !== undefined) {
    progress.tokens.push(verdict.replacement);
    progress.byTeacher.push(true);
    progress.replacements++;
  }
  if (verdict.finish !== "FINISH_UNSPECIFIED") progress.finish = verdict.finish;
  if (verdict.replacement !== undefined || progress.finish !== undefined)
    for (const each of progress.unanswered) each.doomed = true;
}

function takeStale(start: number, progress: Progress): void {
  const block = progress.unanswered.shift();
  if (block?.start !== start || !block.doomed)
    throw new Error(`stale ${start}, expected ${JSON.stringify(block)}`);
  progress.stales++;
}

function find(all: readonly Progress[], id: number): Progress {
  const found = all.find(({ sequence }) => sequence.id === id);
  if (found === undefined) throw new Error(`an answer for sequence ${id}`);
  return found;
}
