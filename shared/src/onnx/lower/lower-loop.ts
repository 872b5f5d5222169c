import { TandemError } from "../../errors/tandem-error.js";
import type { Graph } from "../graph.js";
import type { OnnxModel, OnnxNode, OnnxValue } from "../onnx-model.js";
import { lowerGraph } from "./lower-graph.js";

/** A graph that is run several times over, each time on what the time before left. */
export interface LoopGraph {
  readonly body: Graph;
  /** The body's input that counts the rounds from 0: i64 []. */
  readonly round: string;
  /** What goes round: an input of the body and the output that takes its place. All other inputs are the same in every round. */
  readonly carried: readonly { readonly input: string; readonly output: string }[];
  /** Outputs that are kept of every round, of equal shape in all of them. */
  readonly stacked: readonly string[];
  /** Carried outputs that are wanted as the last round left them. */
  readonly last: readonly string[];
}

/** The model's input that says how many rounds there are: i64 []. */
export const ROUNDS = "rounds";

/** The model's input with what a carried input begins with. */
export const firstOf = (input: string): string => `${input}.first`;

/** The model's output with a stacked output of all rounds: the rounds are its first axis. */
export const allOf = (output: string): string => `${output}.all`;

/** The model's output with a carried output of the last round. */
export const lastOf = (output: string): string => `${output}.last`;

/** One ONNX Loop around the body. The model's inputs: ROUNDS, `firstOf` each carried input, and the body's other inputs under their own names;
 * its outputs: `allOf` each stacked output, `lastOf` each wanted carried one. Weights lie outside the loop; the runtime packs them once.
 * @throws TandemError INVALID_ARGUMENT when the body lacks a name. */
export function lowerLoop(loop: LoopGraph): OnnxModel {
  const { carried, stacked, last } = loop;
  const lowered = lowerGraph(loop.body);
  const inputs = carried.map(({ input }) => find(lowered.inputs, input));
  const own = new Set([loop.round, ...carried.map(({ input }) => input)]);
  const rounds = find(lowered.inputs, loop.round);
  return {
    inputs: [
      { ...rounds, name: ROUNDS },
      ...inputs.map((value) => ({ ...value, name: firstOf(value.name) })),
      ...lowered.inputs.filter(({ name }) => !own.has(name)),
    ],
    outputs: [
      ...stacked.map((name) => {
        const value = find(lowered.outputs, name);
        return { ...value, name: allOf(name), shape: [ROUNDS, ...value.shape] };
      }),
      ...last.map((name) => ({ ...find(lowered.outputs, name), name: lastOf(name) })),
    ],
    initializers: lowered.initializers,
    nodes: [
      {
        opType: "Loop",
        domain: "",
        // No condition: the number of rounds alone decides.
        inputs: [ROUNDS, "", ...carried.map(({ input }) => firstOf(input))],
        outputs: [...carried.map(({ output }) => lastOf(output)), ...stacked.map(allOf)],
        attributes: { body: { graph: roundModel(lowered, loop) } },
      },
    ],
  };
}

/** The body with the signature that Loop wants: round and condition in front of what is carried. */
function roundModel(lowered: OnnxModel, { round, carried, stacked }: LoopGraph): OnnxModel {
  const condition = { dtype: "bool", shape: [] } as const;
  const pass: OnnxNode = {
    opType: "Identity",
    domain: "",
    inputs: ["/goesOn"],
    outputs: ["/goesOn.next"],
    attributes: {},
  };
  return {
    inputs: [
      find(lowered.inputs, round),
      { name: "/goesOn", ...condition },
      ...carried.map(({ input }) => find(lowered.inputs, input)),
    ],
    outputs: [
      { name: "/goesOn.next", ...condition },
      ...carried.map(({ output }) => find(lowered.outputs, output)),
      ...stacked.map((name) => find(lowered.outputs, name)),
    ],
    initializers: [],
    nodes: [pass, ...lowered.nodes],
  };
}

function find(values: readonly OnnxValue[], name: string): OnnxValue {
  const value = values.find((candidate) => candidate.name === name);
  if (value !== undefined) return value;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `the body of the loop has no "${name}"; it has ${values.map((one) => one.name).join(", ")}`,
  );
}
