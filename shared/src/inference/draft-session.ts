import type { ModelConfig } from "../checkpoint/model-config.js";
import { invariant } from "../errors/invariant.js";
import { uniformAt } from "../numeric/philox.js";
import { serializeGraph } from "../onnx/serialize.js";
import { f32Tensor, i64Tensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { Session } from "../runtime/session.js";
import { sampleRow } from "../sampling/sample-row.js";
import type { SamplingParams } from "../sampling/sampling-params.js";
import type { BoundWeights } from "./bound-weights.js";
import { buildDraftGraph } from "./draft-graph.js";
import type { OpenRequest } from "./head-runner.js";

/** Beyond this many rows a run gains nothing. */
const MAX_ROWS = 64;

/** How a row is sampled: from a short list, from masses that the session exponentiates, or from all logits. */
type SamplingPath = "list" | "masses" | "dense";

function pathOf({ temperature, topK, topP }: SamplingParams, vocabulary: number): SamplingPath {
  if (temperature === 0 || (topK > 0 && topK < vocabulary)) return "list";
  // Logits over a temperature this small may overflow f32.
  return topP < 1 || temperature < 1e-3 ? "dense" : "masses";
}

/** The head of a model that only drafts: one sampled token per row, several times cheaper than the head that answers signals. */
export class DraftSession {
  readonly #session: Session;
  readonly #vocabulary: number;

  private constructor(session: Session, vocabulary: number) {
    this.#session = session;
    this.#vocabulary = vocabulary;
  }

  static async create(
    config: ModelConfig,
    weights: BoundWeights,
    { vocabulary, threads }: { vocabulary: number; threads: number },
  ): Promise<DraftSession> {
    const model = serializeGraph(buildDraftGraph(config, weights, vocabulary));
    return new DraftSession(
      await createOrtSession(model, { threads, ...weights.session }),
      vocabulary,
    );
  }

  /** Samples the token of each request (one law, no signal). The tokens are those of `sampleRow`, up to the f32 rounding of
   * masses at the border between two ids where nothing is cut off. */
  async sample(requests: readonly OpenRequest[]): Promise<void> {
    for (let begin = 0; begin < requests.length; begin += MAX_ROWS) {
      await this.#sampleChunk(requests.slice(begin, begin + MAX_ROWS));
    }
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  async #sampleChunk(requests: readonly OpenRequest[]): Promise<void> {
    const params = requests.map(({ head }) => head.sample!);
    const paths = params.map((one) => pathOf(one, this.#vocabulary));
    const rowsOn = (path: SamplingPath) => paths.flatMap((own, row) => (own === path ? [row] : []));
    const massRows = rowsOn("masses");
    const denseRows = rowsOn("dense");
    const k = Math.max(0, ...rowsOn("list").map((row) => listLength(params[row]!)));
    const V = this.#vocabulary;
    const reply = await this.#session.run(
      {
        hidden: packHidden(requests),
        k: i64Tensor([k], [1]),
        massRows: i64Tensor(massRows, [massRows.length]),
        temperatures: f32Tensor(
          Float32Array.from(massRows, (row) => params[row]!.temperature),
          [massRows.length, 1],
        ),
        denseRows: i64Tensor(denseRows, [denseRows.length]),
      },
      ["topIds", "topLogits", "masses", "dense"],
    );
    const f32 = (name: string) => reply[name]!.data as Float32Array;
    const topIds = reply["topIds"]!.data as Int32Array;
    requests.forEach(({ head, answers }, row) => {
      const { runSeed, rngKey, firstPosition, stream = "replacement" } = head.random!;
      const uniform = uniformAt({ runSeed, rngKey, position: firstPosition, stream });
      const part = (values: Float32Array, at: number) => values.subarray(at * V, (at + 1) * V);
      switch (paths[row]!) {
        case "list": {
          const length = listLength(params[row]!);
          const ids = topIds.subarray(row * k, row * k + length);
          const values = f32("topLogits").subarray(row * k, row * k + length);
          answers.sampled = sampleList(ids, values, params[row]!, uniform);
          break;
        }
        case "masses":
          answers.sampled = invertMasses(part(f32("masses"), massRows.indexOf(row)), uniform);
          break;
        case "dense":
          answers.sampled = sampleRow(
            part(f32("dense"), denseRows.indexOf(row)),
            params[row]!,
            uniform,
          );
          break;
      }
    });
  }
}

function listLength({ temperature, topK }: SamplingParams): number {
  return temperature === 0 ? 1 : topK;
}

/** A head run wants at least two rows for equal bits with fed weights; with constant ones any number does. */
function packHidden(requests: readonly OpenRequest[]) {
  const D = requests[0]!.hidden.length;
  const hidden = new Float32Array(requests.length * D);
  requests.forEach((request, row) => hidden.set(request.hidden, row * D));
  return f32Tensor(hidden, [requests.length, D]);
}

/** `sampleRow` of a row of which only the k largest count, given those by falling logit. */
function sampleList(
  ids: Int32Array,
  values: Float32Array,
  params: SamplingParams,
  uniform: number,
): number {
  const order = Array.from(ids.keys()).sort((a, b) => ids[a]! - ids[b]!);
  const ascending = Float32Array.from(order, (i) => values[i]!);
  const index = sampleRow(ascending, { ...params, topK: 0 }, uniform);
  return ids[order[index]!]!;
}

/** The first id whose running mass exceeds uniform · total; sums in float64. */
function invertMasses(masses: Float32Array, uniform: number): number {
  let total = 0;
  for (let id = 0; id < masses.length; id++) total += masses[id]!;
  invariant(total > 0 && total < Infinity, `the masses of a law add up to ${total}`);
  const target = uniform * total;
  let running = 0;
  let last = 0;
  for (let id = 0; id < masses.length; id++) {
    running += masses[id]!;
    if (running > target) return id;
    if (masses[id]! > 0) last = id;
  }
  return last;
}
