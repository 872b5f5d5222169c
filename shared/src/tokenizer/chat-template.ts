import { Template } from "@huggingface/jinja";
import { TandemError } from "../errors/tandem-error.js";
import { withinTime } from "./within-time.js";

/** What a template may take. Those in use need a millisecond and write little more than the messages. */
const MAX_RENDER_MS = 5_000;
const MAX_RANGE = 100_000;
const MAX_OUTPUT_CHARS = 64 << 20;
const MAX_SOURCE_CHARS = 1 << 20;

/** The library's own `range` cannot be replaced, only hidden, by the template's first statement. */
const HIDE_RANGE = new Template("{% set range = bounded_range %}").parsed.body;

/** A checkpoint's Jinja template. It comes with the weights, from strangers: it is interpreted, sees nothing but what it is given, and what it
 * may compute is bounded. */
export class ChatTemplate {
  readonly #template: Template;

  /** @throws TandemError UNIMPLEMENTED when it does not parse. */
  constructor(source: string) {
    if (source.length > MAX_SOURCE_CHARS) {
      throw new TandemError(
        "UNIMPLEMENTED",
        `the chat template has ${source.length} characters; at most ${MAX_SOURCE_CHARS} are read`,
        { field: "model", limit: MAX_SOURCE_CHARS },
      );
    }
    try {
      this.#template = new Template(source);
      this.#template.parsed.body.unshift(...HIDE_RANGE);
    } catch (error) {
      throw new TandemError(
        "UNIMPLEMENTED",
        `the chat template does not parse: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }

  /** @throws TandemError INVALID_ARGUMENT when the template refuses what it is given, or computes without end. */
  render(values: Readonly<Record<string, unknown>>, maxMs = MAX_RENDER_MS): string {
    const render = () => this.#template.render({ ...values, bounded_range: boundedRange });
    const late = () => new Error(`it computes for more than ${maxMs} ms`);
    let text: string;
    try {
      text = withinTime(maxMs, render, late);
    } catch (error) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `the chat template refuses the messages: ${(error as Error).message}`,
        { cause: error },
      );
    }
    if (text.length <= MAX_OUTPUT_CHARS) return text;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `the chat template writes ${text.length} characters; at most ${MAX_OUTPUT_CHARS} are taken`,
      { limit: MAX_OUTPUT_CHARS },
    );
  }
}

/** Python's `range`, as the library has it, but not longer than memory. */
function boundedRange(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (step === 0) throw new Error("range() step must not be zero");
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= MAX_RANGE)) throw new Error(`range() of ${length} elements`);
  return Array.from({ length }, (_, i) => from + i * step);
}
