import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { z } from "zod";

import { AUTHOR } from "../rollout/rollout.js";
import { readJsonLines, readTextIfThere, type JsonLine } from "./read-json-lines.js";
import type {
  Author,
  Candidate,
  EvaluationPoint,
  RunRecord,
  SampleSequence,
  SampleToken,
  StepPoint,
  SummaryValue,
} from "./run-record.js";

// The files may say more than the report shows, hence loose objects.
const kindSchema = z.looseObject({ kind: z.string() });
const stepSchema = z.looseObject({
  step: z.number(),
  // JSON has no NaN: a loss that was not finite is null.
  loss: z.number().nullable(),
  acceptance: z.number().nullish(),
});
const evaluationSchema = z.looseObject({ step: z.number(), accuracy: z.number() });
const topSchema = z.array(z.array(z.tuple([z.string(), z.number()]))).optional();
const rolloutSchema = z.looseObject({
  step: z.number(),
  row: z.number(),
  sample: z.number().default(0),
  prompt: z.string(),
  finish: z.string().default(""),
  pieces: z.array(z.string()),
  authors: z.array(z.number()),
  ranks: z.array(z.number().nullable()).optional(),
  teacherTop: topSchema,
  studentTop: topSchema,
  studentTokens: z.array(z.string().nullable()).optional(),
});

const AUTHORS = Object.fromEntries(
  Object.entries(AUTHOR).map(([name, code]) => [code, name]),
) as Readonly<Record<number, Author>>;

/** Reads metrics.jsonl, rollouts.jsonl and summary.json of a run directory; each may be missing, as in a run that has just begun.
 * @throws TandemError NOT_FOUND without the directory, DATA_LOSS naming file and line when a line is damaged. */
export async function readRun(runDirectory: string): Promise<RunRecord> {
  const directory = resolve(runDirectory);
  const info = await stat(directory).catch(() => undefined);
  if (info?.isDirectory() !== true) {
    throw new TandemError("NOT_FOUND", `${runDirectory} is not a directory; name a run directory`);
  }
  const metrics = await readJsonLines(join(directory, "metrics.jsonl"));
  const rollouts = await readJsonLines(join(directory, "rollouts.jsonl"));
  const ofKind = (kind: string): readonly JsonLine[] =>
    metrics.filter((line) => parseLine(kindSchema, line, "metrics.jsonl").kind === kind);
  return {
    name: basename(directory),
    steps: ofKind("step").map((line) => toStep(parseLine(stepSchema, line, "metrics.jsonl"))),
    evaluations: ofKind("evaluation").map((line): EvaluationPoint => {
      const { step, accuracy } = parseLine(evaluationSchema, line, "metrics.jsonl");
      return { step, accuracy };
    }),
    sequences: rollouts.map((line) => toSequence(parseLine(rolloutSchema, line, "rollouts.jsonl"))),
    summary: parseSummary(await readTextIfThere(join(directory, "summary.json"))),
  };
}

function parseLine<T>(schema: z.ZodType<T>, line: JsonLine, file: string): T {
  const parsed = schema.safeParse(line.value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new TandemError(
    "DATA_LOSS",
    `${file} line ${line.lineNumber}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "is malformed"}`,
    { cause: parsed.error },
  );
}

function toStep({ step, loss, acceptance }: z.infer<typeof stepSchema>): StepPoint {
  return { step, loss: loss ?? NaN, ...(typeof acceptance === "number" && { acceptance }) };
}

function toSequence(row: z.infer<typeof rolloutSchema>): SampleSequence {
  const { step, row: index, sample, prompt, finish } = row;
  const tokens = row.pieces.map((piece, at): SampleToken => {
    const rank = row.ranks?.[at];
    const draft = row.studentTokens?.[at];
    return {
      piece,
      author: AUTHORS[row.authors[at] ?? AUTHOR.data] ?? "data",
      teacherTop: toCandidates(row.teacherTop?.[at]),
      studentTop: toCandidates(row.studentTop?.[at]),
      ...(typeof rank === "number" && { rank }),
      ...(typeof draft === "string" && { draft }),
    };
  });
  return { step, row: index, sample, prompt, finish, tokens };
}

function toCandidates(
  pairs: readonly (readonly [string, number])[] | undefined,
): readonly Candidate[] {
  return (pairs ?? []).map(([piece, probability]) => ({ piece, probability }));
}

function parseSummary(text: string): ReadonlyMap<string, SummaryValue> {
  if (text.trim() === "") return new Map();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TandemError("DATA_LOSS", "summary.json is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null) return new Map();
  return new Map(
    Object.entries(value).filter((entry): entry is [string, SummaryValue] =>
      ["number", "string", "boolean"].includes(typeof entry[1]),
    ),
  );
}
