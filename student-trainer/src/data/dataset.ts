import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { DataConfig } from "./data-config.js";
import { readRows, type RawRow } from "./read-rows.js";
import type { TextCodec } from "./text-codec.js";
import { parseTeacherText, parseTextRow, type TextRow } from "./text-row.js";

/** A row of a data set in tokens. */
export interface DataRow {
  /** Number of the record among all of its files, skipped ones counted: names the row in logs and random keys. */
  readonly index: number;
  readonly promptText: string;
  readonly prompt: Uint32Array;
  /** What teachers see in place of the prompt. */
  readonly teacherPrompt?: Uint32Array;
  /** Name of the row's teacher; left out: the run's only or first one. */
  readonly teacher?: string;
  readonly answerText?: string;
  /** Stop id included if the configuration appends it. */
  readonly answer?: Uint32Array;
}

export interface Dataset {
  readonly rows: readonly DataRow[];
  /** Rows left out because they were too long. */
  readonly skipped: number;
}

export interface LoadDatasetOptions {
  readonly files: string | readonly string[];
  readonly config: DataConfig;
  readonly codec: TextCodec;
  /** The teacher's, where it has another tokenizer: then every row has a `teacherPrompt`, in its tokens. */
  readonly teacherCodec?: TextCodec;
  /** Appended to answers; undefined: nothing is. */
  readonly eosId: number | undefined;
  readonly maxResponse: number;
  /** Longest prompt that leaves room for a response in the model's context. */
  readonly maxPrompt: number;
  readonly limit?: number | undefined;
  /** Names that rows may give for their teacher. */
  readonly teachers?: readonly string[];
  /** A field that the configuration names for some rows must be in one of them. */
  readonly needsNamedFields?: boolean;
}

/** Fields that a row may do without; a misspelt one would change every row in silence. */
const OPTIONAL_FIELDS = ["teacherPrompt", "teacher"] as const;

/** Reads and tokenises data files.
 * @throws TandemError NOT_FOUND, or INVALID_ARGUMENT naming file and line. */
export async function loadDataset(options: LoadDatasetOptions): Promise<Dataset> {
  const { files, config, limit = Infinity } = options;
  const rows: DataRow[] = [];
  const missing = new Set(
    OPTIONAL_FIELDS.filter((option) => options.needsNamedFields && config[option] !== undefined),
  );
  let index = 0;
  for (const file of typeof files === "string" ? [files] : files) {
    for (const raw of await readRows(file)) {
      if (index >= limit) break;
      for (const option of missing) {
        if ((raw.record[config[option] as string] ?? null) !== null) missing.delete(option);
      }
      const row = toDataRow(raw, index++, options);
      if (row !== undefined) rows.push(row);
    }
  }
  const [option] = missing;
  if (option !== undefined && index > 0) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `none of ${index} rows has the field "${config[option]}" (data.${option}); correct it, or leave data.${option} out`,
      { field: `data.${option}` },
    );
  }
  return { rows, skipped: index - rows.length };
}

/** Undefined for a row that is too long and may be skipped. */
function toDataRow(raw: RawRow, index: number, options: LoadDatasetOptions): DataRow | undefined {
  const { config, codec, teacherCodec, eosId, maxPrompt, maxResponse } = options;
  const text = parseTextRow(raw, config);
  const { promptText, prompt } = encodePrompt(text, codec, raw.place);
  const answer = text.answer === undefined ? undefined : encodeAnswer(text.answer, codec, eosId);
  const forTeacher = parseTeacherText(raw, config) ?? (teacherCodec && text);
  const teacherPrompt =
    forTeacher && encodePrompt(forTeacher, teacherCodec ?? codec, raw.place).prompt;
  const tooLong =
    prompt.length > maxPrompt
      ? `the prompt has ${prompt.length} tokens, allowed are ${maxPrompt} (data.maxPrompt, and the context less rollout.maxResponse)`
      : answer !== undefined && answer.length > maxResponse
        ? `the answer has ${answer.length} tokens, allowed are ${maxResponse} (rollout.maxResponse)`
        : teacherPrompt !== undefined && teacherPrompt.length > config.maxTeacherPrompt
          ? `the teacher's prompt has ${teacherPrompt.length} tokens, allowed are ${config.maxTeacherPrompt} (data.maxTeacherPrompt)`
          : undefined;
  if (tooLong !== undefined) {
    if (config.tooLong === "skip") return undefined;
    throw new TandemError("INVALID_ARGUMENT", `${raw.place}: ${tooLong}`, { field: "data" });
  }
  const teacher = teacherOf(raw, options);
  return {
    index,
    promptText,
    prompt,
    ...(teacherPrompt === undefined ? {} : { teacherPrompt }),
    ...(teacher === undefined ? {} : { teacher }),
    ...(text.answer === undefined ? {} : { answerText: text.answer }),
    ...(answer === undefined ? {} : { answer }),
  };
}

/** The row's tag. */
function teacherOf({ place, record }: RawRow, options: LoadDatasetOptions): string | undefined {
  const { config, teachers = [] } = options;
  const name = config.teacher === undefined ? undefined : record[config.teacher];
  if (name === undefined || name === null) return undefined;
  if (typeof name === "string" && teachers.includes(name)) return name;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${place}: field "${config.teacher}" (data.teacher) is ${JSON.stringify(name)}; teachers: has ${teachers.join(", ") || "none"}`,
    { field: "data.teacher" },
  );
}

function encodePrompt(
  text: TextRow,
  codec: TextCodec,
  place: string,
): { readonly promptText: string; readonly prompt: Uint32Array } {
  // A template writes its special tokens itself.
  const special = text.kind === "text";
  const promptText = text.kind === "text" ? text.prompt : codec.renderChat(text.messages);
  const prompt = codec.encode(promptText, { special });
  if (prompt.length === 0) {
    throw new TandemError("INVALID_ARGUMENT", `${place}: the prompt has no token`, {
      field: "data",
    });
  }
  return { promptText, prompt };
}

function encodeAnswer(text: string, codec: TextCodec, eosId: number | undefined): Uint32Array {
  const ids = codec.encode(text, { special: false });
  return eosId === undefined ? ids : Uint32Array.of(...ids, eosId);
}
