import type { ModelConfig } from "../checkpoint/model-config.js";
import { serializeGraph } from "../onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { Session } from "../runtime/session.js";
import type { BoundWeights } from "./bound-weights.js";
import { drawBlocks } from "./draws-graph.js";
import { buildHeadGraph } from "./head-graph.js";

/** What one run of the head is asked: n laws, and lists of rows (indices below n) for the parts that cost a pass over the vocabulary. */
export interface HeadQuery {
  /** f32 [n,D]. */
  readonly hidden: Float32Array;
  /** [n]. */
  readonly targets: BigInt64Array;
  /** Length of the list, 0 ≤ k ≤ V. */
  readonly topK: number;
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
  /** [Q,C]: C uniforms for each of `drawRows`. */
  readonly uniforms: Float64Array;
  readonly drawCount: number;
}

export interface HeadReply {
  /** Entries per row of the list: one more than asked for, where the vocabulary allows. */
  readonly listWidth: number;
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
    const listed = { topLogits, listWidth, nothingOutside: query.topK === this.vocabulary };
    const one = normalise(listed, f32("restShare"), new Float32Array(n).fill(1), 1);
    const at = normalise(listed, f32("restShareAt"), query.taus, query.tauCount);
    const first = (moment: number) => topLogits[query.momentRows[moment]! * listWidth]!;
    return {
      listWidth,
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
      drawIds: i32("drawIds").map((id) => Math.min(id, this.vocabulary - 1)),
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
] as const;

/** lse and the part of it outside the list (a difference of logarithms, never above 0), in float64, at each of `tauCount` temperatures per row.
 * share: [n,J], the probability of the list's last entry among all ids but the first listWidth − 1. */
function normalise(
  list: {
    readonly topLogits: Float32Array;
    readonly listWidth: number;
    readonly nothingOutside: boolean;
  },
  share: Float32Array,
  taus: Float32Array,
  tauCount: number,
): { readonly lse: Float32Array; readonly logTail: Float32Array } {
  const { topLogits, listWidth } = list;
  const lse = new Float32Array(share.length);
  const logTail = new Float32Array(share.length);
  for (let i = 0; i < share.length; i++) {
    const begin = Math.floor(i / tauCount) * listWidth;
    const end = begin + listWidth - 1;
    const tau = taus[i]!;
    const first = topLogits[begin]! / tau;
    let inner = 0;
    for (let j = begin; j < end; j++) inner += Math.exp(topLogits[j]! / tau - first);
    const rest = topLogits[end]! / tau - Math.log(share[i]!) - first;
    const total = Math.log(inner + Math.exp(rest));
    lse[i] = first + total;
    logTail[i] = list.nothingOutside ? -Infinity : Math.min(0, rest - total);
  }
  return { lse, logTail };
}
