import { join } from "node:path";
import { TandemError } from "../errors/tandem-error.js";
import { readModelJson, readModelText } from "../files/model-file.js";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** What a Hugging Face directory says about its tokenizer, as it was parsed. */
export interface TokenizerFiles {
  /** tokenizer.json. */
  readonly tokenizer: JsonObject;
  /** tokenizer_config.json; empty when there is none. */
  readonly config: JsonObject;
  /** chat_template.jinja, or the template that tokenizer_config.json carries. */
  readonly chatTemplate?: string;
}

/** Far above what is in use: vocabularies of 256 k pieces have 35 MB, templates 20 kB. */
const MAX_TOKENIZER_BYTES = 256 << 20;
const MAX_TEMPLATE_BYTES = 1 << 20;

/** Reads the tokenizer's files of a directory.
 * @throws TandemError NOT_FOUND without tokenizer.json, DATA_LOSS when a file is not JSON of the right kind or too large,
 * PERMISSION_DENIED for a link that leads out of the directory. */
export async function readTokenizerFiles(dir: string): Promise<TokenizerFiles> {
  const tokenizer = await readObject(dir, "tokenizer.json");
  if (tokenizer === undefined) {
    throw new TandemError(
      "NOT_FOUND",
      `${dir} has no tokenizer.json; save the model's fast tokenizer there (tokenizer.save_pretrained)`,
      { field: "model" },
    );
  }
  const config = (await readObject(dir, "tokenizer_config.json")) ?? {};
  const chatTemplate =
    (await readModelText(dir, "chat_template.jinja", MAX_TEMPLATE_BYTES)) ?? templateOf(config);
  return { tokenizer, config, ...(chatTemplate === undefined ? {} : { chatTemplate }) };
}

/** A template, or the one named `default` of several. */
function templateOf(config: JsonObject): string | undefined {
  const { chat_template: template } = config;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const named = (template as readonly (JsonObject | null)[]).find(
    (each) => each?.["name"] === "default",
  );
  return typeof named?.["template"] === "string" ? named["template"] : undefined;
}

async function readObject(dir: string, name: string): Promise<JsonObject | undefined> {
  const value = await readModelJson(dir, name, MAX_TOKENIZER_BYTES);
  if (value === undefined) return undefined;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw new TandemError("DATA_LOSS", `${join(dir, name)} should hold a JSON object`);
}
