import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TandemError } from "../errors/tandem-error.js";

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

/** Reads the tokenizer's files of a directory.
 * @throws TandemError NOT_FOUND without tokenizer.json, DATA_LOSS when a file is not JSON of the right kind. */
export async function readTokenizerFiles(dir: string): Promise<TokenizerFiles> {
  const tokenizer = await readJson(join(dir, "tokenizer.json"));
  if (tokenizer === undefined) {
    throw new TandemError(
      "NOT_FOUND",
      `${dir} has no tokenizer.json; save the model's fast tokenizer there (tokenizer.save_pretrained)`,
      { field: "model" },
    );
  }
  const config = (await readJson(join(dir, "tokenizer_config.json"))) ?? {};
  const chatTemplate = (await readText(join(dir, "chat_template.jinja"))) ?? templateOf(config);
  return { tokenizer, config, ...(chatTemplate === undefined ? {} : { chatTemplate }) };
}

/** A template, or the one named `default` of several. */
function templateOf(config: JsonObject): string | undefined {
  const { chat_template: template } = config;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const named = (template as readonly JsonObject[]).find(({ name }) => name === "default");
  return typeof named?.["template"] === "string" ? named["template"] : undefined;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new TandemError("NOT_FOUND", `cannot read ${path}`, { cause: error });
  }
}

async function readJson(path: string): Promise<JsonObject | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TandemError("DATA_LOSS", `${path} is not JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw new TandemError("DATA_LOSS", `${path} should hold a JSON object`);
}
