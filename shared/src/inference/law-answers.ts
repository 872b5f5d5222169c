import { countDraws, type DrawnTokens } from "./count-draws.js";
import type { HeadReply } from "./head-session.js";
import { lawCount } from "./law-count.js";
import type { HeadRequest } from "./step.js";
import { uniformAt } from "../numeric/philox.js";
import { sampleRow } from "../sampling/sample-row.js";

/** What is computed for a request's n laws, whatever its signal shows of it. */
export class LawAnswers {
  readonly count: number;
  readonly topK: number;
  readonly tauCount: number;
  readonly drawCount: number;
  /** f32 [n,J]. */
  readonly taus: Float32Array;
  /** Of each law's list, k wide, how many entries are its own. */
  readonly listLengths: Uint32Array;
  readonly topIds: Uint32Array;
  readonly topLogits: Float32Array;
  readonly lse: Float32Array;
  readonly logTail: Float32Array;
  readonly lseAt: Float32Array;
  readonly logTailAt: Float32Array;
  readonly tokenLogit: Float32Array;
  readonly rank: Uint32Array;
  readonly atLogits: Float32Array;
  readonly meanLogit: Float32Array;
  readonly maxLogit: Float32Array;
  readonly entropy: Float32Array;
  readonly massAbove: Float32Array;
  readonly dense: Float32Array | undefined;
  readonly draws: DrawnTokens[] = [];
  sampled: number | undefined;
  /** Set: all logits of every law are kept in `logits`. */
  keepLogits = false;
  readonly logits: Float32Array[] = [];
  readonly #head: HeadRequest;
  readonly #vocabulary: number;

  constructor(head: HeadRequest, vocabulary: number) {
    const n = lawCount(head);
    this.#head = head;
    this.#vocabulary = vocabulary;
    this.count = n;
    this.topK = head.spec.topK;
    this.drawCount = head.random === undefined ? 0 : head.spec.draws;
    this.taus =
      head.taus ??
      Float32Array.from(
        { length: n * head.spec.taus.length },
        (_, i) => head.spec.taus[i % head.spec.taus.length]!,
      );
    this.tauCount = this.taus.length / n;
    this.listLengths = new Uint32Array(n);
    this.topIds = new Uint32Array(n * this.topK);
    this.topLogits = new Float32Array(n * this.topK);
    this.lse = new Float32Array(n);
    this.logTail = new Float32Array(n);
    this.lseAt = new Float32Array(n * this.tauCount);
    this.logTailAt = new Float32Array(n * this.tauCount);
    this.tokenLogit = new Float32Array(n);
    this.rank = new Uint32Array(n);
    this.atLogits = new Float32Array(head.atIds?.length ?? 0);
    this.meanLogit = new Float32Array(this.wantsMoments ? n : 0);
    this.maxLogit = new Float32Array(n);
    this.entropy = new Float32Array(this.wantsMoments ? n : 0);
    this.massAbove = new Float32Array(this.wantsMass ? n : 0);
    this.dense = head.spec.dense === "none" ? undefined : new Float32Array(n * vocabulary);
  }

  get wantsMoments(): boolean {
    return this.#head.spec.moments;
  }

  get wantsMass(): boolean {
    return this.#head.verify?.rule.kind === "top-p";
  }

  wantsDense(law: number): boolean {
    const { spec, sample } = this.#head;
    return (
      this.keepLogits || spec.dense !== "none" || (sample !== undefined && law === this.count - 1)
    );
  }

  /** Takes `rows` laws, from `law` on, out of the reply's rows from `from` on. */
  takeRows(
    reply: HeadReply,
    { law, from, rows }: { law: number; from: number; rows: number },
  ): void {
    const J = this.tauCount;
    const copy = (target: Float32Array, source: Float32Array, width = 1) =>
      target.set(source.subarray(from * width, (from + rows) * width), law * width);
    copy(this.lse, reply.lse);
    copy(this.logTail, reply.logTail);
    copy(this.lseAt, reply.lseAt, J);
    copy(this.logTailAt, reply.logTailAt, J);
    copy(this.tokenLogit, reply.tokenLogit);
    this.rank.set(reply.rank.subarray(from, from + rows), law);
    this.listLengths.set(reply.listLengths.subarray(from, from + rows), law);
    for (let row = 0; row < rows; row++) {
      const begin = (from + row) * reply.listWidth;
      this.topIds.set(reply.topIds.subarray(begin, begin + this.topK), (law + row) * this.topK);
      this.topLogits.set(
        reply.topLogits.subarray(begin, begin + this.topK),
        (law + row) * this.topK,
      );
      this.maxLogit[law + row] = reply.topLogits[begin]!;
    }
  }

  /** The answers at the ids that the student chose for one law. */
  takeAtLogits(law: number, values: Float32Array): void {
    const { atOffsets } = this.#head;
    if (atOffsets === undefined) return;
    const [begin, end] = [atOffsets[law]!, atOffsets[law + 1]!];
    this.atLogits.set(values.subarray(0, end - begin), begin);
  }

  /** The uniforms of one law's draws. */
  drawUniforms(law: number): readonly number[] {
    const { random } = this.#head;
    if (random === undefined) return [];
    const position = random.firstPosition + law;
    return Array.from({ length: this.drawCount }, (_, index) =>
      uniformAt({ ...random, position, stream: "draws", index }),
    );
  }

  /** One law's draws out of those of a run, [rows,C]. */
  takeDraws(
    law: number,
    { drawIds, drawWeights }: Pick<HeadReply, "drawIds" | "drawWeights">,
    row: number,
  ): void {
    if (this.drawCount === 0) return;
    const [from, to] = [row * this.drawCount, (row + 1) * this.drawCount];
    const weights =
      this.#head.spec.drawTemperature === 1 ? undefined : drawWeights.subarray(from, to);
    this.draws[law] = countDraws(drawIds.subarray(from, to), weights);
  }

  /** All logits of one law: kept or sampled from, as the request says. */
  takeDense(law: number, logits: Float32Array): void {
    const { sample, random } = this.#head;
    if (this.keepLogits) this.logits[law] = logits;
    this.dense?.set(logits, law * this.#vocabulary);
    if (random === undefined) return;
    const position = random.firstPosition + law;
    if (sample !== undefined && law === this.count - 1) {
      const uniform = uniformAt({ ...random, position, stream: random.stream ?? "replacement" });
      this.sampled = sampleRow(logits, sample, uniform);
      this.setToken(law, this.sampled, logits);
    }
  }

  /** The law refers to another token than it was asked with: rank and logit become that token's. */
  setToken(law: number, token: number, logits: Float32Array): void {
    const own = logits[token]!;
    let rank = 0;
    for (let id = 0; id < logits.length; id++) if (logits[id]! > own) rank++;
    this.rank[law] = rank;
    this.tokenLogit[law] = own;
  }
}
