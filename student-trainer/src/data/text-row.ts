import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { DataConfig } from "./data-config.js";
import type { RawRow } from "./read-rows.js";

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** What a record says, before tokens. */
export type TextRow =
  | { readonly kind: "text"; readonly prompt: string; readonly answer: string | undefined }
  | {
      readonly kind: "chat";
      readonly messages: readonly ChatMessage[];
      readonly answer: string | undefined;
    };

type Fields = Pick<DataConfig, "prompt" | "answer" | "messages" | "chat" | "system">;
type TeacherFields = Fields & Pick<DataConfig, "teacherPrompt" | "teacherSystem">;

/** Picks prompt and answer out of a record.
 * @throws TandemError INVALID_ARGUMENT naming file, line and field. */
export function parseTextRow({ place, record }: RawRow, fields: Fields): TextRow {
  if (fields.messages !== undefined) return parseMessages(place, record[fields.messages], fields);
  const prompt = record[fields.prompt];
  if (typeof prompt !== "string" || prompt === "") {
    const known = Object.keys(record).join(", ");
    const hint = Array.isArray(prompt)
      ? "it holds a list; for chat messages name it as data.messages"
      : `the record has ${known || "no fields"}`;
    throw invalid(place, `field "${fields.prompt}" (data.prompt) must be a text; ${hint}`);
  }
  const answer = record[fields.answer];
  if (answer !== undefined && answer !== null && typeof answer !== "string") {
    throw invalid(place, `field "${fields.answer}" (data.answer) must be a text`);
  }
  if (!fields.chat) return { kind: "text", prompt, answer: answer ?? undefined };
  const messages = [...systemOf(fields), { role: "user", content: prompt }];
  return { kind: "chat", messages, answer: answer ?? undefined };
}

/** What teachers see in place of the row's own prompt; undefined: the same.
 * @throws TandemError INVALID_ARGUMENT naming file, line and field. */
export function parseTeacherText(row: RawRow, fields: TeacherFields): TextRow | undefined {
  const { teacherPrompt, teacherSystem, messages } = fields;
  const own = messages ?? fields.prompt;
  const given = teacherPrompt === undefined ? undefined : row.record[teacherPrompt];
  if ((given === undefined || given === null) && teacherSystem === undefined) return undefined;
  const from = given === undefined || given === null ? own : (teacherPrompt as string);
  const renamed = messages === undefined ? { prompt: from } : { messages: from };
  const text = parseTextRow(row, { ...fields, ...renamed, system: teacherSystem ?? fields.system });
  if (text.kind === "text" || teacherSystem === undefined) return text;
  const rest = text.messages.filter(({ role }) => role !== "system");
  return { ...text, messages: [{ role: "system", content: teacherSystem }, ...rest] };
}

function parseMessages(place: string, value: unknown, fields: Fields): TextRow {
  const wrong = `field "${fields.messages}" (data.messages) must be a list of {role, content} with at least one message of the user`;
  if (!Array.isArray(value)) throw invalid(place, wrong);
  const messages = value.map((message: unknown) => {
    const { role, content } = (message ?? {}) as Record<string, unknown>;
    if (typeof role !== "string" || typeof content !== "string") throw invalid(place, wrong);
    return { role, content };
  });
  const last = messages.at(-1);
  const answer = last?.role === "assistant" ? last.content : undefined;
  const asked = answer === undefined ? messages : messages.slice(0, -1);
  if (asked.length === 0) throw invalid(place, wrong);
  const hasSystem = asked[0]?.role === "system";
  return { kind: "chat", messages: [...(hasSystem ? [] : systemOf(fields)), ...asked], answer };
}

function systemOf({ system }: Fields): ChatMessage[] {
  return system === undefined ? [] : [{ role: "system", content: system }];
}

function invalid(place: string, message: string): TandemError {
  return new TandemError("INVALID_ARGUMENT", `${place}: ${message}`, { field: "data" });
}
