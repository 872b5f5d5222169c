import type { ModelConfig } from "../checkpoint/model-config.js";
import { stateWidth } from "../wire/state-number.js";
import type { OpenRequest } from "./head-runner.js";
import { LawAnswers } from "./law-answers.js";
import { lawCount } from "./law-count.js";
import type { StepRow } from "./step.js";

/** A row while its step is computed. */
export class OpenRow {
  readonly row: StepRow;
  readonly request: OpenRequest | undefined;
  /** Hidden states at the request's laws, by number, f32 [n,·] each. */
  readonly states: ReadonlyMap<number, Float32Array>;
  failed = false;
  readonly #laws: number;

  constructor(row: StepRow, config: ModelConfig, vocabulary: number) {
    const { head } = row;
    const n = head === undefined ? 0 : lawCount(head);
    this.row = row;
    this.#laws = n;
    this.request =
      head === undefined
        ? undefined
        : {
            head,
            hidden: new Float32Array(n * config.hiddenSize),
            answers: new LawAnswers(head, vocabulary),
          };
    const widths = {
      width: config.hiddenSize,
      queryWidth: config.heads * config.headDim,
      keyWidth: config.kvHeads * config.headDim,
    };
    this.states = new Map(
      (head?.spec.hiddenLayers ?? []).map((number) => [
        number,
        new Float32Array(n * stateWidth(number, widths)),
      ]),
    );
  }

  /** The part of `count` tokens from index `begin` on that laws are wanted behind: first token, first law, number. */
  lawsWithin(
    begin: number,
    count: number,
  ): { readonly token: number; readonly law: number; readonly rows: number } {
    const { head } = this.row;
    if (head === undefined) return { token: begin, law: 0, rows: 0 };
    const from = Math.max(begin, head.first);
    const to = Math.min(begin + count, head.first + lawCount(head));
    return { token: from, law: from - head.first, rows: Math.max(0, to - from) };
  }

  /** Keeps hidden states of the target's width: those of `rows` laws from `law` on, which begin at row `at` of `source`. */
  keep(
    target: Float32Array,
    source: Float32Array,
    { law, at, rows }: { law: number; at: number; rows: number },
  ): void {
    const D = target.length / this.#laws;
    target.set(source.subarray(at * D, (at + rows) * D), law * D);
  }
}
