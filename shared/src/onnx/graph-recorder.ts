import { invariant } from "../errors/invariant.js";
import { TandemError } from "../errors/tandem-error.js";
import { canonicalDim } from "../tensor/dim.js";
import { inferTypes } from "../tensor/infer-types.js";
import type {
  ExternalBytes,
  OpAttributes,
  OpName,
  QuantizedBytes,
} from "../tensor/op-attributes.js";
import type { DType, Shape } from "../tensor/tensor-ops.js";
import type { Graph, GraphNode, GraphOutput, GraphTensor } from "./graph.js";
import { liveNodes } from "./live-nodes.js";
import { nodeKey } from "./node-key.js";

type G = GraphTensor;

/** Records an immutable graph and its interface. Equal operations on equal inputs are recorded once; `build` drops what no output needs. */
export class GraphRecorder {
  readonly #nodes: GraphNode[] = [];
  readonly #shared = new Map<string, GraphNode>();
  readonly #outputs = new Map<string, GraphOutput>();
  readonly #names = new Set<string>();

  // ── interface of the graph ──

  /** A tensor fed at each run. Symbols in its shape are bound by what is fed. */
  input(name: string, dtype: DType, shape: Shape): G {
    this.#claimName(name);
    return this.record("input", [], { name, dtype, shape: shape.map(canonicalDim) });
  }

  /** A constant weight whose bytes stay in a file (safetensors), f32 behind a cast if it is stored narrower.
   * A quantised one can only be the second operand of a product. */
  parameter(name: string, shape: readonly number[], bytes: ExternalBytes | QuantizedBytes): G {
    this.#claimName(name);
    return this.record("parameter", [], { name, shape, bytes });
  }

  /** Names a result of the graph. One tensor may have several names. */
  output(name: string, tensor: G): void {
    this.#claimName(name);
    this.#outputs.set(name, { name, tensor });
  }

  build(): Graph {
    const outputs = [...this.#outputs.values()];
    return Object.freeze({ nodes: liveNodes(this.#nodes, outputs), outputs });
  }

  /** Appends an operation with canonical attributes, or returns the equal one recorded before. */
  recordAll<O extends OpName>(
    kind: O,
    inputs: readonly G[],
    attributes: OpAttributes[O],
  ): readonly G[] {
    const key = nodeKey(kind, inputs, attributes);
    const known = key === undefined ? undefined : this.#shared.get(key);
    if (known !== undefined) return known.outputs;
    const outputs: G[] = [];
    const node = { kind, id: this.#nodes.length, inputs, attributes, outputs } as GraphNode;
    inferTypes(kind, inputs, attributes).forEach(({ dtype, shape }, index) => {
      outputs.push(Object.freeze({ dtype, shape, node, index }));
    });
    Object.freeze(outputs);
    Object.freeze(node);
    this.#nodes.push(node);
    if (key !== undefined) this.#shared.set(key, node);
    return outputs;
  }

  /** `recordAll` of an operation with one result. */
  record<O extends OpName>(kind: O, inputs: readonly G[], attributes: OpAttributes[O]): G {
    const [first] = this.recordAll(kind, inputs, attributes);
    invariant(first !== undefined, `${kind} has a result`);
    return first;
  }

  #claimName(name: string): void {
    if (this.#names.has(name)) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `the graph has an input, parameter or output named "${name}" already; give each its own name`,
      );
    }
    this.#names.add(name);
  }
}
