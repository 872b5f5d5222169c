import type { ModelConfig } from "../checkpoint/model-config.js";
import { decode, logits, type PlaceInputs } from "../models/decoder.js";
import type { GraphTensor } from "../onnx/graph.js";
import { GraphBuilder } from "../onnx/graph-builder.js";
import type { LoopGraph } from "../onnx/lower/lower-loop.js";
import { slotNames } from "./body-graph.js";
import type { BoundWeights } from "./bound-weights.js";

/** What the writer's loop carries per layer. */
export function writerNames(layer: number) {
  const { keySlots, valueSlots, newKeys, newValues } = slotNames(layer);
  return { slots: [keySlots, valueSlots], written: [newKeys, newValues] } as const;
}

/** The output that takes the place of a carried input in the next round. */
export const nextOf = (input: string): string => `${input}.next`;

/** Rows that write several tokens in one run: round t puts tokens through the transformer over the KV slots and draws one for each of R rows.
 * Round 0 takes whatever a row's slot lacks, later ones the token drawn before. M packed tokens over all T rounds.
 *
 * Fed: begins i64 [T+1] (packed tokens of round t: begins[t] … begins[t+1]−1), widths i64 [T] (query positions L per row), cos and sin [M,d/2] or
 * positions [M], pack [M], starts, offsets and ends [T,R] (a row's first position, first and last packed token), counting i64 [max L] = 0, 1, …,
 * rowOf [N] (rows of the packed tokens after round 0), uniforms f64 [T,R,1], temperatures f32 [R,1], greedy bool [R].
 * Carried: ids i64 [N]; key.i and value.i [R,S,KH·d]; key.i.new and value.i.new [·,KH·d], which grow round by round to [M,KH·d].
 * Stacked: drawn i64 [T,R]; mass f64 [T,R], the sum of a law's masses, not finite where the model computed NaN. */
export function buildWriterLoop(
  config: ModelConfig,
  weights: BoundWeights,
  vocabulary: number,
): LoopGraph {
  const builder = new GraphBuilder();
  const { heads, kvHeads, headDim } = config;
  const width = kvHeads * headDim;
  const round = builder.input("round", "i64", []);
  const places = roundPlaces(builder, round);
  const attend = (layer: number, q: GraphTensor, k: GraphTensor, v: GraphTensor): GraphTensor => {
    const { slots, written } = writerNames(layer);
    const [keySlots, valueSlots] = slots;
    const attended = builder.slotAttention(
      {
        q: builder.gather(q, places.unpack, 0), // [R,L,H·d]
        k: builder.gather(k, places.unpack, 0),
        v: builder.gather(v, places.unpack, 0),
        keySlots: builder.input(keySlots, "f32", ["R", "S", width]),
        valueSlots: builder.input(valueSlots, "f32", ["R", "S", width]),
        starts: places.starts,
      },
      { heads, kvHeads, scale: 1 / Math.sqrt(headDim) },
    );
    builder.output(nextOf(keySlots), attended.keySlots);
    builder.output(nextOf(valueSlots), attended.valueSlots);
    written.forEach((name, i) => {
      const before = builder.input(name, "f32", ["W", width]);
      builder.output(nextOf(name), builder.concat([before, i === 0 ? k : v], 0));
    });
    const packed = builder.reshape(attended.output, ["R*L", heads * headDim]);
    return builder.gather(packed, places.pack, 0); // [N,H·d]
  };

  const source = weights.source(builder);
  const ids = builder.input("ids", "i64", ["N"]);
  const at = placeInputs(builder, config, places.ofTokens);
  const { hidden } = decode(builder, config, source, { ids, places: at, attend }); // [N,D]
  const cut = { ...config, vocabSize: vocabulary };
  const latest = builder.gather(hidden, places.latest, 0); // [R,D]
  const drawn = addDraw(builder, logits(builder, cut, source, { hidden: latest }), round);
  builder.output("drawn", drawn);
  builder.output(nextOf("ids"), builder.gather(drawn, builder.input("rowOf", "i64", ["P"]), 0));
  const perLayer = Array.from({ length: config.layers }, (_, layer) => writerNames(layer));
  const carried = ["ids", ...perLayer.flatMap(({ slots, written }) => [...slots, ...written])];
  return {
    body: builder.build(),
    round: "round",
    carried: carried.map((input) => ({ input, output: nextOf(input) })),
    stacked: ["drawn", "mass"],
    last: perLayer.flatMap(({ written }) => written.map(nextOf)),
  };
}

/** Where the round's N packed tokens of R rows stand. */
function roundPlaces(builder: GraphBuilder, round: GraphTensor) {
  const ofRound = (x: GraphTensor): GraphTensor => builder.gather(x, round, 0);
  const begins = builder.input("begins", "i64", ["B"]);
  const next = builder.add(round, builder.scalar(1, "i64"));
  const begin = builder.reshape(ofRound(begins), [1]);
  const end = builder.reshape(builder.gather(begins, next, 0), [1]);
  const ofTokens = (x: GraphTensor): GraphTensor => builder.narrow(x, begin, end, "N");

  const zero = builder.constant([0], [1], "i64");
  const wide = builder.reshape(ofRound(builder.input("widths", "i64", ["T"])), [1]);
  const counting = builder.narrow(builder.input("counting", "i64", ["C"]), zero, wide, "L");
  const offsets = ofRound(builder.input("offsets", "i64", ["T", "R"])); // [R]
  const latest = ofRound(builder.input("ends", "i64", ["T", "R"])); // [R]
  // A row with fewer tokens is padded with its last one, as in `collate`.
  const unpack = builder.minimum(
    builder.add(builder.unsqueeze(offsets, 1), builder.unsqueeze(counting, 0)),
    builder.unsqueeze(latest, 1),
  ); // [R,L]
  return {
    ofTokens,
    unpack,
    latest,
    pack: ofTokens(builder.input("pack", "i64", ["M"])),
    starts: ofRound(builder.input("starts", "i64", ["T", "R"])),
  };
}

function placeInputs(
  builder: GraphBuilder,
  config: ModelConfig,
  ofTokens: (x: GraphTensor) => GraphTensor,
): PlaceInputs<GraphTensor> {
  if (config.family === "gpt2")
    return { kind: "learned", positions: ofTokens(builder.input("positions", "i64", ["M"])) };
  const half = config.headDim / 2;
  return {
    kind: "rotary",
    cos: ofTokens(builder.input("cos", "f32", ["M", half])),
    sin: ofTokens(builder.input("sin", "f32", ["M", half])),
  };
}

/** One id per row as `DraftSession` draws it: the first whose running mass exceeds uniform · total, summed over rising ids in float64; for
 * greedy rows the lowest id of the maximum. u: [R,V]; i64 [R]. */
function addDraw(builder: GraphBuilder, u: GraphTensor, round: GraphTensor): GraphTensor {
  const vocabulary = u.shape[1] as number;
  const uniform = builder.gather(builder.input("uniforms", "f64", ["T", "R", 1]), round, 0); // [R,1]
  const temperatures = builder.input("temperatures", "f32", ["R", 1]);
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
  builder.output("mass", builder.squeeze(total, 1));
  return builder.where(builder.input("greedy", "bool", ["R"]), builder.argmax(u, 1), sampled);
}
