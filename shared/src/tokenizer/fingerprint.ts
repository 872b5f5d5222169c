import { createHash } from "node:crypto";
import { readTokenizerFiles, type Json, type JsonObject } from "./tokenizer-files.js";
import { addedTokensOf, readVocabulary } from "./vocabulary.js";

/** What decides which ids a text becomes, and what ids mean. */
export interface TokenizerIdentity {
  /** Largest id + 1. */
  readonly vocabularySize: number;
  /** `sha256:` + hex over the manifest. */
  readonly fingerprint: string;
  /** One line per property, `name value`; equal manifests tokenise equally. Ids are digested in blocks, so that two manifests show
   * where vocabularies part without carrying them. */
  readonly manifest: string;
}

const IDS_PER_LINE = 256;

/** The identity of the tokenizer in a Hugging Face directory.
 * @throws TandemError NOT_FOUND, DATA_LOSS, UNIMPLEMENTED as reading it does. */
export async function readTokenizerIdentity(dir: string): Promise<TokenizerIdentity> {
  return tokenizerIdentity((await readTokenizerFiles(dir)).tokenizer);
}

/** The identity of a parsed tokenizer.json. Left out is what does not change the ids of a text: decoder, truncation, padding, and the
 * post-processor, since what it puts around a text is up to whoever writes the prompt. */
export function tokenizerIdentity(tokenizer: JsonObject): TokenizerIdentity {
  const pieces = readVocabulary(tokenizer);
  const { vocab: _vocab, merges, ...model } = (tokenizer["model"] ?? {}) as JsonObject;
  const lines = ["tandem-tokenizer 1", `model ${canonical(model)}`, `vocabulary ${pieces.length}`];
  for (let start = 0; start < pieces.length; start += IDS_PER_LINE) {
    const block = pieces.slice(start, start + IDS_PER_LINE).map((piece) => piece ?? null);
    lines.push(`ids ${start} ${digest(JSON.stringify(block)).slice(0, 12)}`);
  }
  if (Array.isArray(merges)) {
    lines.push(`merges ${merges.length} ${digest(JSON.stringify(merges.map(toPair)))}`);
  }
  for (const added of addedTokensOf(tokenizer)) {
    const { id, content, special: _special, ...flags } = added;
    lines.push(`added ${id} ${JSON.stringify(content)} ${canonical(flags)}`);
  }
  lines.push(`normalizer ${canonical(tokenizer["normalizer"] ?? null)}`);
  lines.push(`pre_tokenizer ${canonical(tokenizer["pre_tokenizer"] ?? null)}`);
  const manifest = `${lines.join("\n")}\n`;
  return { vocabularySize: pieces.length, fingerprint: `sha256:${digest(manifest)}`, manifest };
}

/** Merges are written as "a b" or as ["a", "b"]. */
function toPair(merge: Json): Json {
  if (typeof merge !== "string") return merge;
  const space = merge.indexOf(" ");
  return [merge.slice(0, space), merge.slice(space + 1)];
}

/** JSON with sorted keys and without fields that say what their absence says, which writers of tokenizer.json add and drop at will. */
function canonical(value: Json): string {
  return JSON.stringify(value, (key, inner: Json) => {
    if (key === "trim_offsets") return undefined; // where a token lies in the text, not what it is
    if (key === "use_regex" && inner === true) return undefined; // the default
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    const entries = Object.entries(inner as JsonObject);
    const said = entries.filter(([, field]) => field !== null && field !== false && field !== "");
    return Object.fromEntries(said.sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** What separates two tokenizers, from their manifests: the first few differences, `ours` first; empty when they are equal.
 * `piece` names our pieces in the messages. */
export function compareManifests(
  ours: string,
  theirs: string,
  piece: (id: number) => string | undefined = () => undefined,
): string[] {
  const left = parseManifest(ours);
  const right = parseManifest(theirs);
  const differences: string[] = [];
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const mine = left.get(name);
    const other = right.get(name);
    if (mine === other) continue;
    differences.push(describe(name, mine, other, piece));
    if (differences.length === MAX_DIFFERENCES) break;
  }
  return differences;
}

const MAX_DIFFERENCES = 4;

/** Lines by name; `ids` and `added` lines by name and id. */
function parseManifest(manifest: string): Map<string, string> {
  const lines = manifest.split("\n").filter((line) => line !== "");
  return new Map(
    lines.map((line) => {
      const words = line.split(" ");
      const named = words[0] === "ids" || words[0] === "added" ? 2 : 1;
      return [words.slice(0, named).join(" "), words.slice(named).join(" ")];
    }),
  );
}

function describe(
  name: string,
  mine: string | undefined,
  other: string | undefined,
  piece: (id: number) => string | undefined,
): string {
  const [kind, id] = name.split(" ") as [string, string | undefined];
  if (kind === "vocabulary") return `${mine} ids here, ${other} there`;
  if (kind === "ids") {
    const first = Number(id);
    const example = piece(first);
    const named = example === undefined ? "" : ` (id ${first} is ${JSON.stringify(example)} here)`;
    return mine === undefined || other === undefined
      ? `ids ${first} and up exist only ${mine === undefined ? "there" : "here"}`
      : `other pieces among ids ${first} to ${first + IDS_PER_LINE - 1}${named}`;
  }
  if (kind === "merges")
    return `${count(mine)} merges here, ${count(other)} there, or in other order`;
  if (kind === "added") {
    return `added token ${id} is ${mine ?? "absent"} here, ${other ?? "absent"} there`;
  }
  return `${kind} is ${mine ?? "absent"} here, ${other ?? "absent"} there`;
}

function count(merges: string | undefined): string {
  return merges?.split(" ")[0] ?? "no";
}
