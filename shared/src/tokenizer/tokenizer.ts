import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { TandemError } from "../errors/tandem-error.js";
import { ChatTemplate } from "./chat-template.js";
import { type TokenizerIdentity, tokenizerIdentity } from "./fingerprint.js";
import { type JsonObject, readTokenizerFiles, type TokenizerFiles } from "./tokenizer-files.js";
import { pieceBytes, type PieceBytes } from "./piece-bytes.js";
import { addedTokensOf, readVocabulary } from "./vocabulary.js";
import { withinTime } from "./within-time.js";

/** What cutting a text may take where the tokenizer brings regular expressions of its own: a hundred times what those in use need. They come with the
 * weights, from strangers, and may be such that they never end. */
const ENCODE_MS = 5_000;
const ENCODE_MS_PER_CHAR = 0.1;

/** The part of the library used here; its type declarations do not resolve under nodenext. */
interface InnerTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  token_to_id(token: string): number | undefined;
}

export interface Message {
  readonly role: string;
  readonly content: string;
}

/** Reads the tokenizer of a Hugging Face directory.
 * @throws TandemError NOT_FOUND without tokenizer.json, DATA_LOSS when a file is damaged, UNIMPLEMENTED for an unknown model type. */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  return new Tokenizer(await readTokenizerFiles(dir));
}

/** Text ↔ token ids as a checkpoint's own tokenizer does it (tokenizer.json, by @huggingface/tokenizers). */
export class Tokenizer {
  readonly identity: TokenizerIdentity;
  /** Ids of the tokens that tokenizer_config.json names, where it does. */
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  readonly #inner: InnerTokenizer;
  /** Whether tokens must spell the text, so that a dropped character shows. */
  readonly #literal: boolean;
  /** Whether its own regular expressions cut the text. */
  readonly #patterned: boolean;
  readonly #pieces: readonly (string | undefined)[];
  readonly #special: ReadonlySet<number>;
  readonly #bytes: PieceBytes;
  readonly #template: ChatTemplate | undefined;
  readonly #config: JsonObject;

  constructor({ tokenizer, config, chatTemplate }: TokenizerFiles) {
    this.identity = tokenizerIdentity(tokenizer);
    this.#pieces = readVocabulary(tokenizer);
    const added = addedTokensOf(tokenizer);
    this.#bytes = pieceBytes(tokenizer);
    this.#special = new Set(added.filter(({ special }) => special).map(({ id }) => id));
    this.#config = config;
    this.#template = chatTemplate === undefined ? undefined : new ChatTemplate(chatTemplate);
    this.#literal = isLiteral(tokenizer);
    this.#patterned = hasPatterns(tokenizer);
    this.bosId = this.#idNamed("bos_token");
    this.eosId = this.#idNamed("eos_token");
    this.padId = this.#idNamed("pad_token");
    try {
      this.#inner = new HuggingFaceTokenizer(tokenizer, config) as unknown as InnerTokenizer;
    } catch (error) {
      throw new TandemError(
        "UNIMPLEMENTED",
        `tokenizer.json uses something that @huggingface/tokenizers does not know: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }

  /** Largest id + 1. */
  get vocabularySize(): number {
    return this.identity.vocabularySize;
  }

  /** See `tokenizerIdentity`. */
  get fingerprint(): string {
    return this.identity.fingerprint;
  }

  /** u32 ids of a text. `special`: with what the tokenizer puts around a text by itself (a beginning-of-text id).
   * @throws TandemError INVALID_ARGUMENT for characters that the vocabulary cannot express, and when it computes without end. */
  encode(text: string, { special = true }: { readonly special?: boolean } = {}): Uint32Array {
    const { ids } = this.#encode(text, special);
    const spelled = (): number => ids.reduce((sum, id) => sum + (this.#pieces[id]?.length ?? 0), 0);
    if (ids.some((id) => !Number.isInteger(id)) || (this.#literal && spelled() < text.length)) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `the text ${JSON.stringify(text.slice(0, 80))} has characters that the tokenizer has no token for`,
      );
    }
    return Uint32Array.from(ids);
  }

  #encode(text: string, special: boolean): { readonly ids: number[] } {
    const encode = () => this.#inner.encode(text, { add_special_tokens: special });
    if (!this.#patterned) return encode();
    const maxMs = ENCODE_MS + Math.ceil(ENCODE_MS_PER_CHAR * text.length);
    return withinTime(maxMs, encode, () => lateError(text, maxMs));
  }

  /** The text of ids. Special tokens are left out unless asked for.
   * @throws TandemError INVALID_ARGUMENT for an id outside the vocabulary. */
  decode(ids: ArrayLike<number>, { special = false }: { readonly special?: boolean } = {}): string {
    const kept: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      this.#assertId(id);
      if (special || !this.#special.has(id)) kept.push(id);
    }
    // an empty list is refused by the library
    return kept.length === 0 ? "" : this.#inner.decode(kept, { skip_special_tokens: false });
  }

  /** The text of one token, special or not, for people; parts of a character show as U+FFFD. */
  piece(id: number): string {
    const text = this.decode([id], { special: true });
    // decoders in SentencePiece's manner take the space off a text's first word
    return this.#pieces[id]?.startsWith("▁") && !text.startsWith(" ") ? ` ${text}` : text;
  }

  /** The vocabulary's entry of an id, as tokenizer.json spells it; undefined for ids that nothing has. */
  entry(id: number): string | undefined {
    return this.#pieces[id];
  }

  /** The bytes of text that a token stands for; none for special tokens and ids that nothing has. A text's first token may bring a space
   * that the text does not have. */
  bytesOf(id: number): Uint8Array {
    const piece = this.#pieces[id];
    return piece === undefined ? new Uint8Array(0) : this.#bytes(id, piece);
  }

  /** The id of an entry of the vocabulary. */
  idOf(entry: string): number | undefined {
    const id = this.#inner.token_to_id(entry);
    return id === undefined ? undefined : Number(id);
  }

  /** Whether the checkpoint brings a chat template. */
  get hasChatTemplate(): boolean {
    return this.#template !== undefined;
  }

  /** A chat as the checkpoint's template writes it, special tokens spelled out: encode it with `special: false`.
   * @throws TandemError FAILED_PRECONDITION without a template, INVALID_ARGUMENT when the template refuses the messages. */
  applyChatTemplate(
    messages: readonly Message[],
    { addGenerationPrompt }: { readonly addGenerationPrompt: boolean },
  ): string {
    if (this.#template === undefined) {
      throw new TandemError(
        "FAILED_PRECONDITION",
        "the checkpoint has no chat template; add chat_template.jinja or give plain prompts",
      );
    }
    return this.#template.render({
      messages,
      add_generation_prompt: addGenerationPrompt,
      ...this.#namedTokens(),
    });
  }

  /** A chat up to where the assistant is to answer. */
  renderChat(messages: readonly Message[]): string {
    return this.applyChatTemplate(messages, { addGenerationPrompt: true });
  }

  #assertId(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabularySize) return;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `token id ${id} is outside the vocabulary of ${this.vocabularySize} ids`,
    );
  }

  /** `bos_token`, `eos_token` … as templates use them. */
  #namedTokens(): Record<string, string> {
    const named = Object.keys(this.#config).flatMap((key): [string, string][] => {
      const content = key.endsWith("_token") ? contentOf(this.#config[key]) : undefined;
      return content === undefined ? [] : [[key, content]];
    });
    return Object.fromEntries(named);
  }

  #idNamed(key: string): number | undefined {
    const content = contentOf(this.#config[key]);
    if (content === undefined) return undefined;
    const id = this.#pieces.lastIndexOf(content);
    return id < 0 ? undefined : id;
  }
}

function hasPatterns({ normalizer, pre_tokenizer: splitter }: JsonObject): boolean {
  return /"Regex":/.test(JSON.stringify([normalizer, splitter]));
}

function lateError(text: string, maxMs: number): TandemError {
  return new TandemError(
    "INVALID_ARGUMENT",
    `the tokenizer computes for more than ${maxMs} ms at ${text.length} characters that begin with ${JSON.stringify(text.slice(0, 80))}; look at the regular expressions of its tokenizer.json`,
    { field: "model", limit: maxMs },
  );
}

/** Whether a tokenizer cuts the text as it stands and drops what it has no token for (a byte-pair model does without `unk_token`). */
function isLiteral({ normalizer, pre_tokenizer: splitter, model }: JsonObject): boolean {
  const { type, unk_token: unknown, byte_fallback: bytes } = (model ?? {}) as JsonObject;
  const plain = (normalizer ?? null) === null && (splitter ?? null) === null;
  return plain && type === "BPE" && (unknown ?? null) === null && bytes !== true;
}

/** Token names are strings or, in older files, added-token records. */
function contentOf(token: JsonObject[string]): string | undefined {
  if (typeof token === "string") return token;
  if (typeof token !== "object" || token === null || Array.isArray(token)) return undefined;
  const { content } = token as JsonObject;
  return typeof content === "string" ? content : undefined;
}
