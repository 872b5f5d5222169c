import type { ModelConfig } from "../checkpoint/model-config.js";
import { decode, logits, type PlaceInputs } from "../models/decoder.js";
import type { Attend } from "../models/decoder-parts.js";
import type { Graph, GraphTensor } from "../onnx/graph.js";
import { GraphBuilder } from "../onnx/graph-builder.js";
import { multiplyDims } from "../tensor/dim.js";
import type { Dim, Shape } from "../tensor/tensor-ops.js";
import { slotNames } from "./body-graph.js";
import type { BoundWeights } from "./bound-weights.js";
import { placeInputs } from "./place-inputs.js";

export interface WriterOptions {
  readonly vocabulary: number;
  /** T. */
  readonly rounds: number;
}

/** Rows that write T tokens each in one run: every round puts tokens through the transformer over the KV slots and draws one for each of R rows.
 * Round 0 takes the N packed tokens that the slots lack, later ones P = max(2,R) of them: the tokens drawn before, the only row's twice. M = N + (T−1)·P.
 * The rounds lie behind one another in the graph: from the second on the slots are written in place, and what a run costs beside its arithmetic is paid once.
 *
 * Inputs: ids i64 [N], cos and sin [N,d/2] or positions [N], pack [N], unpack [R,L], latest [R] (each row's last packed token); the same of later rounds:
 * later.cos and later.sin [T−1,P,d/2] or later.positions [T−1,P], later.pack [P], later.unpack [R,2], later.rows [P] (the row of each token);
 * starts [T,R] (the position of each row's first token); order [W] of the packed tokens that are wanted back; key.i and value.i [R,S,KH·d];
 * uniforms f64 [T,R,1], temperatures f32 [R,1], greedy bool [R].
 * Outputs: drawn i64 [T·R]; mass f64 [T·R], the sum of a law's masses, not finite where the model computed NaN; key.i.new and value.i.new [W,KH·d]. */
export function buildWriterGraph(
  config: ModelConfig,
  weights: BoundWeights,
  { vocabulary, rounds }: WriterOptions,
): Graph {
  const builder = new GraphBuilder();
  const source = weights.source(builder);
  const slots = new WriterSlots(builder, config);
  const draw = drawing(builder);
  const uniforms = builder.input("uniforms", "f64", ["T", "R", 1]);
  const starts = builder.input("starts", "i64", ["T", "R"]);
  const first = firstTokens(builder, config);
  const later = laterTokens(builder, config);
  const drawn: GraphTensor[] = [];
  const masses: GraphTensor[] = [];
  for (let round = 0; round < rounds; round++) {
    const ofRound = (x: GraphTensor): GraphTensor =>
      builder.gather(x, builder.scalar(round, "i64"), 0);
    const previous = drawn.at(-1);
    const { ids, places, pack, unpack, latest } =
      previous === undefined ? first : later(previous, round - 1);
    const layout = { pack, unpack, starts: ofRound(starts) };
    const attend: Attend<GraphTensor> = (layer, q, k, v) =>
      slots.attend(layer, { q, k, v }, layout);
    const { hidden } = decode(builder, config, source, { ids, places, attend }); // [·,D]
    const rows = builder.gather(hidden, latest, 0); // [R,D]
    const u = logits(builder, { ...config, vocabSize: vocabulary }, source, { hidden: rows });
    const { token, mass } = draw(u, ofRound(uniforms));
    drawn.push(token);
    masses.push(mass);
  }
  builder.output("drawn", builder.concat(drawn, 0));
  builder.output("mass", builder.concat(masses, 0));
  slots.giveBack(builder.input("order", "i64", ["W"]));
  return builder.build();
}

/** How packed tokens lie in rows. */
interface Layout {
  readonly pack: GraphTensor;
  readonly unpack: GraphTensor;
  readonly starts: GraphTensor;
}

/** The slots of all layers, and what the rounds write into them. */
class WriterSlots {
  readonly #builder: GraphBuilder;
  readonly #config: ModelConfig;
  /** Keys and values of each layer's slot as the last round left them. */
  readonly #slots: [GraphTensor, GraphTensor][];
  /** Keys and values of each layer, [·,KH·d] a round. */
  readonly #written: [GraphTensor[], GraphTensor[]][];

  constructor(builder: GraphBuilder, config: ModelConfig) {
    this.#builder = builder;
    this.#config = config;
    const width = config.kvHeads * config.headDim;
    const layers = Array.from({ length: config.layers }, (_, layer) => slotNames(layer));
    this.#slots = layers.map(({ keySlots, valueSlots }) => [
      builder.input(keySlots, "f32", ["R", "S", width]),
      builder.input(valueSlots, "f32", ["R", "S", width]),
    ]);
    this.#written = layers.map(() => [[], []]);
  }

  /** As `Attend`, for one round. */
  attend(
    layer: number,
    { q, k, v }: { readonly q: GraphTensor; readonly k: GraphTensor; readonly v: GraphTensor },
    { pack, unpack, starts }: Layout,
  ): GraphTensor {
    const builder = this.#builder;
    const { heads, kvHeads, headDim } = this.#config;
    const [keySlots, valueSlots] = this.#slots[layer]!;
    const attended = builder.slotAttention(
      {
        q: builder.gather(q, unpack, 0), // [R,L,H·d]
        k: builder.gather(k, unpack, 0),
        v: builder.gather(v, unpack, 0),
        keySlots,
        valueSlots,
        starts,
      },
      { heads, kvHeads, scale: 1 / Math.sqrt(headDim) },
    );
    this.#slots[layer] = [attended.keySlots, attended.valueSlots];
    const [keys, values] = this.#written[layer]!;
    keys.push(k);
    values.push(v);
    const places = multiplyDims("R", unpack.shape[1] as Dim);
    const flat = builder.reshape(attended.output, [places, heads * headDim]);
    return builder.gather(flat, pack, 0); // [N,H·d]
  }

  /** order i64 [W]. */
  giveBack(order: GraphTensor): void {
    this.#written.forEach(([keys, values], layer) => {
      const { newKeys, newValues } = slotNames(layer);
      const pick = (parts: readonly GraphTensor[]) =>
        this.#builder.gather(this.#builder.concat(parts, 0), order, 0);
      this.#builder.output(newKeys, pick(keys));
      this.#builder.output(newValues, pick(values));
    });
  }
}

/** What a round puts through the transformer. */
interface RoundTokens extends Omit<Layout, "starts"> {
  readonly ids: GraphTensor;
  readonly places: PlaceInputs<GraphTensor>;
  /** i64 [R]: each row's last packed token. */
  readonly latest: GraphTensor;
}

function firstTokens(builder: GraphBuilder, config: ModelConfig): RoundTokens {
  return {
    ids: builder.input("ids", "i64", ["N"]),
    places: placeInputs(builder, config, { tokens: ["N"] }),
    pack: builder.input("pack", "i64", ["N"]),
    unpack: builder.input("unpack", "i64", ["R", "L"]),
    latest: builder.input("latest", "i64", ["R"]),
  };
}

/** The tokens of the later rounds, which are those drawn in the round before; `index` counts these rounds from 0. */
function laterTokens(
  builder: GraphBuilder,
  config: ModelConfig,
): (drawn: GraphTensor, index: number) => RoundTokens {
  const input = (name: string, shape: Shape) => builder.input(`later.${name}`, "i64", shape);
  const rows = input("rows", ["P"]);
  const layout = {
    pack: input("pack", ["P"]),
    unpack: input("unpack", ["R", 2]),
    latest: input("latest", ["R"]),
  };
  const all = placeInputs(builder, config, { prefix: "later.", tokens: ["I", "P"] });
  return (drawn, index) => {
    const at = (x: GraphTensor) => builder.gather(x, builder.scalar(index, "i64"), 0);
    const places: PlaceInputs<GraphTensor> =
      all.kind === "learned"
        ? { kind: "learned", positions: at(all.positions) }
        : { kind: "rotary", cos: at(all.cos), sin: at(all.sin) };
    return { ...layout, places, ids: builder.gather(drawn, rows, 0) };
  };
}

/** One id per row as `DraftSession` draws it: the first whose running mass exceeds uniform · total, summed over rising ids in float64; for
 * greedy rows the lowest id of the maximum. u: [R,V], uniform: f64 [R,1]; token i64 [R], mass f64 [R]. */
function drawing(
  builder: GraphBuilder,
): (
  u: GraphTensor,
  uniform: GraphTensor,
) => { readonly token: GraphTensor; readonly mass: GraphTensor } {
  const temperatures = builder.input("temperatures", "f32", ["R", 1]);
  const greedy = builder.input("greedy", "bool", ["R"]);
  return (u, uniform) => {
    const vocabulary = u.shape[1] as number;
    const masses = builder.cast(builder.softmax(builder.div(u, temperatures), 1), "f64");
    const running = builder.cumsum(masses, 1); // [R,V]
    const total = builder.slice(running, 1, -1, Infinity); // [R,1]
    const reached = builder.logicalNot(builder.greater(running, builder.mul(uniform, total)));
    const place = builder.reduceSum(builder.cast(reached, "f32"), { axes: [1] }); // [R]
    // Rounding may carry a uniform within 2⁻⁵³ of 1 past the last id.
    const sampled = builder.minimum(
      builder.cast(place, "i64"),
      builder.scalar(vocabulary - 1, "i64"),
    );
    const token = builder.where(greedy, builder.argmax(u, 1), sampled);
    return { token, mass: builder.squeeze(total, 1) };
  };
}
