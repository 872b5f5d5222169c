import type { ModelConfig } from "../checkpoint/model-config.js";
import { serializeGraph } from "../onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { Session } from "../runtime/session.js";
import type { BoundWeights } from "./bound-weights.js";
import { drawBlocks } from "./draws-graph.js";
import { buildHeadGraph } from "./head-graph.js";
import { keptLengths, normalise } from "./normalise.js";

/** What one run of the head is asked: n laws, and lists of rows (indices below n) for the parts that cost a pass over the vocabulary. */
export interface HeadQuery {
  /** f32 [n,D]. */
  readonly hidden: Float32Array;
  /** [n]. */
  readonly targets: BigInt64Array;
  /** Length of the list, 0 ≤ k ≤ V. */
  readonly topK: number;
  /** [n]: P of each row's list (`SignalSpec.topPMass`). */
  readonly topPMasses: Float64Array;
  /** f32 [n,J]. */
  readonly taus: Float32Array;
  readonly tauCount: number;
  /** i64 [n,A], padded. */
  readonly atIds: BigInt64Array;
  readonly atWidth: number;
  readonly momentRows: readonly number[];
  readonly massRows: readonly number[];
  readonly denseRows: readonly number[];
  readonly drawRows: readonly number[];
  /** Of the law that each of them draws from. */
  readonly drawTaus: readonly number[];
  /** [Q,C]: C uniforms for each of `drawRows`. */
  readonly uniforms: Float64Array;
  readonly drawCount: number;
}

export interface HeadReply {
  /** Entries per row of the list: one more than asked for, where the vocabulary allows. */
  readonly listWidth: number;
  /** u32 [n]: how many of them each row keeps, 0 to k. */
  readonly listLengths: Uint32Array;
  readonly topIds: Int32Array;
  readonly topLogits: Float32Array;
  readonly lse: Float32Array;
  readonly logTail: Float32Array;
  readonly lseAt: Float32Array;
  readonly logTailAt: Float32Array;
  readonly tokenLogit: Float32Array;
  readonly rank: Int32Array;
  readonly atLogits: Float32Array;
  /** By index into the lists of rows. */
  readonly meanLogit: Float32Array;
  readonly entropy: Float32Array;
  readonly massAbove: Float32Array;
  readonly dense: Float32Array;
  /** i32 [Q,C]. */
  readonly drawIds: Int32Array;
  /** f32 [Q,C]: probability at temperature 1 over that in the law drawn from. */
  readonly drawWeights: Float32Array;
}

/** The language-modelling head as a native session: hidden states to everything a signal can hold, without the logits leaving it. */
export class HeadSession {
  readonly vocabulary: number;
  readonly #session: Session;
  readonly #hiddenSize: number;

  private constructor(session: Session, hiddenSize: number, vocabulary: number) {
    this.#session = session;
    this.#hiddenSize = hiddenSize;
    this.vocabulary = vocabulary;
  }

  static async create(
    config: ModelConfig,
    weights: BoundWeights,
    {
      vocabulary,
      threads,
      spin = false,
    }: { readonly vocabulary: number; readonly threads: number; readonly spin?: boolean },
  ): Promise<HeadSession> {
    const model = serializeGraph(buildHeadGraph(config, weights, vocabulary));
    const session = await createOrtSession(model, {
      threads,
      spin,
      memoryPattern: false,
      ...weights.session,
    });
    return new HeadSession(session, config.hiddenSize, vocabulary);
  }

  async run(query: HeadQuery): Promise<HeadReply> {
    const n = query.targets.length;
    // The list is one longer than asked for: its last entry is the largest logit outside.
    const listWidth = Math.min(query.topK + 1, this.vocabulary);
    const { blocks } = drawBlocks(this.vocabulary);
    const list = (rows: readonly number[]) => i64Tensor(rows, [rows.length]);
    const reply = await this.#session.run(
      {
        hidden: f32Tensor(query.hidden, [n, this.#hiddenSize]),
        k: i64Tensor([listWidth], [1]),
        targets: i64Tensor(query.targets, [n]),
        taus: f32Tensor(query.taus, [n, query.tauCount]),
        atIds: i64Tensor(query.atIds, [n, query.atWidth]),
        momentRows: list(query.momentRows),
        massRows: list(query.massRows),
        denseRows: list(query.denseRows),
        drawRows: list(query.drawRows),
        drawStarts: i64Tensor(
          query.drawRows.map((_, row) => row * blocks),
          [query.drawRows.length, 1],
        ),
        drawTaus: f32Tensor(Float32Array.from(query.drawTaus), [query.drawRows.length, 1]),
        uniforms: {
          dtype: "f64",
          shape: [query.drawRows.length, query.drawCount],
          data: query.uniforms,
        },
      },
      OUTPUTS,
    );
    const f32 = (name: (typeof OUTPUTS)[number]) =>
      (reply[name] as HostTensor).data as Float32Array;
    const i32 = (name: (typeof OUTPUTS)[number]) => (reply[name] as HostTensor).data as Int32Array;
    const topLogits = f32("topLogits");
    const whole = {
      topLogits,
      listWidth,
      listLengths: new Uint32Array(n).fill(query.topK),
      nothingOutside: query.topK === this.vocabulary,
    };
    const listLengths = keptLengths(whole, f32("restShare"), query.topPMasses);
    const listed = { ...whole, listLengths };
    const one = normalise(listed, f32("restShare"), new Float32Array(n).fill(1), 1);
    const at = normalise(listed, f32("restShareAt"), query.taus, query.tauCount);
    const first = (moment: number) => topLogits[query.momentRows[moment]! * listWidth]!;
    return {
      listWidth,
      listLengths,
      topIds: i32("topIds"),
      topLogits,
      lse: one.lse,
      logTail: one.logTail,
      lseAt: at.lse,
      logTailAt: at.logTail,
      tokenLogit: f32("tokenLogit"),
      rank: i32("rank"),
      atLogits: f32("atLogits"),
      meanLogit: f32("logitSum").map((sum) => sum / this.vocabulary),
      entropy: f32("meanDepth").map(
        (depth, moment) => depth + (one.lse[query.momentRows[moment]!]! - first(moment)),
      ),
      massAbove: f32("massAbove"),
      dense: f32("dense"),
      drawIds: i32("drawIds"),
      drawWeights: drawWeights(query, one.lse, {
        logits: f32("drawLogits"),
        shares: f32("drawShares"),
      }),
    };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

const OUTPUTS = [
  "topIds",
  "topLogits",
  "restShare",
  "restShareAt",
  "tokenLogit",
  "rank",
  "atLogits",
  "logitSum",
  "meanDepth",
  "massAbove",
  "dense",
  "drawIds",
  "drawLogits",
  "drawShares",
] as const;

/** What each draw is worth under the law at temperature 1: exp(u − lse) over its share in the law drawn from; exactly 1 where that is the law itself. */
function drawWeights(
  { drawRows, drawTaus, drawCount }: HeadQuery,
  lse: Float32Array,
  drawn: { readonly logits: Float32Array; readonly shares: Float32Array },
): Float32Array {
  return drawn.logits.map((logit, i) => {
    const row = Math.floor(i / drawCount);
    if (drawTaus[row] === 1) return 1;
    return Math.exp(logit - lse[drawRows[row]!]!) / drawn.shares[i]!;
  });
}
