import type { ChatMessage } from "./text-row.js";

/** What data needs of a checkpoint's tokenizer. */
export interface TextCodec {
  /** `special`: add what the tokenizer puts around a text by itself (a beginning-of-text id). */
  encode(text: string, options: { readonly special: boolean }): Uint32Array;
  /** Text of ids; special tokens are left out. */
  decode(ids: Uint32Array): string;
  /** A chat up to where the assistant is to answer, as text with its special tokens written out.
   * @throws TandemError when the checkpoint has no template. */
  renderChat(messages: readonly ChatMessage[]): string;
}
