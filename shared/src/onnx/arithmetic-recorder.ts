import { broadcastShapes, sameShape } from "../tensor/broadcast.js";
import { GraphRecorder } from "./graph-recorder.js";
import type { GraphTensor } from "./graph.js";
import {
  isColumn,
  isZeros,
  narrowOperands,
  scaledTensor,
  shiftedTensor,
  type BroadcastingOpName,
} from "./simplify.js";

type G = GraphTensor;

/** Arithmetic on two operands, in the form that passes over long tensors least often. */
export class ArithmeticRecorder extends GraphRecorder {
  add(a: G, b: G): G {
    return (
      this.#scatterInto(a, b) ??
      this.#scatterInto(b, a) ??
      this.#addTransposed(a, b) ??
      this.broadcasting("add", a, b)
    );
  }

  sub(a: G, b: G): G {
    return this.#shiftsOutside(a, b) ?? this.broadcasting("sub", a, b);
  }

  mul(a: G, b: G): G {
    return (
      this.#scaledFurther("mul", a, b) ??
      this.#scaledFurther("mul", b, a) ??
      this.broadcasting("mul", a, b)
    );
  }

  div(a: G, b: G): G {
    return this.#scaledFurther("div", a, b) ?? this.broadcasting("div", a, b);
  }

  maximum(a: G, b: G): G {
    const parts = shiftedTensor(a);
    if (parts === undefined || !isColumn(b, a.shape)) return this.broadcasting("maximum", a, b);
    const { large, shift } = parts;
    return this.sub(this.broadcasting("maximum", large, this.add(shift, b)), shift);
  }

  minimum(a: G, b: G): G {
    return this.broadcasting("minimum", a, b);
  }

  /** An operation whose operands meet by broadcasting. */
  protected broadcasting(kind: BroadcastingOpName, a: G, b: G): G {
    return this.record(kind, narrowOperands(a, b), {});
  }

  /** (large·column)·c = large·(column·c): one pass over the large tensor instead of two. */
  #scaledFurther(kind: "mul" | "div", x: G, c: G): G | undefined {
    const parts = scaledTensor(x);
    if (parts === undefined || !isColumn(c, x.shape)) return undefined;
    const column = this.record(kind, narrowOperands(parts.column, c), {});
    if (!sameShape(broadcastShapes(parts.large.shape, column.shape), x.shape)) return undefined;
    return this.mul(parts.large, column);
  }

  /** (x − c) − (y − d) = (x − y) − (c − d), and (x − c) − d = x − (c + d): one pass over long rows instead of two or three. */
  #shiftsOutside(a: G, b: G): G | undefined {
    const [left, right] = [shiftedTensor(a), shiftedTensor(b)];
    if (left !== undefined && isColumn(b, a.shape) && b.shape.length <= a.shape.length) {
      return this.broadcasting("sub", left.large, this.add(left.shift, b));
    }
    if ((left === undefined && right === undefined) || !sameShape(a.shape, b.shape)) {
      return undefined;
    }
    const gap = this.broadcasting("sub", left?.large ?? a, right?.large ?? b);
    if (left === undefined)
      return this.broadcasting("sub", gap, this.record("neg", [right!.shift], {}));
    const shift = right === undefined ? left.shift : this.sub(left.shift, right.shift);
    return this.broadcasting("sub", gap, shift);
  }

  /** base + (zeros with updates added at ids) = base with updates added at ids: no dense copy of mostly zeros. */
  #scatterInto(base: G, term: G): G | undefined {
    const { node } = term;
    if (node.kind !== "scatterAlongAxis" || node.attributes.reduction !== "add") return undefined;
    if (!sameShape(base.shape, term.shape)) return undefined;
    const [target, ids, updates] = node.inputs as readonly [G, G, G];
    const start = isZeros(target) ? base : this.#scatterInto(base, target);
    if (start === undefined) return undefined;
    return this.record("scatterAlongAxis", [start, ids, updates], node.attributes);
  }

  /** aᵀ + bᵀ = (a + b)ᵀ: sums of many transposed terms are transposed once. */
  #addTransposed(a: G, b: G): G | undefined {
    if (a.node.kind !== "transpose" || b.node.kind !== "transpose") return undefined;
    const { permutation } = a.node.attributes;
    const agree = b.node.attributes.permutation.every((axis, at) => axis === permutation[at]);
    if (!agree || !sameShape(a.shape, b.shape)) return undefined;
    const sum = this.add(a.node.inputs[0] as G, b.node.inputs[0] as G);
    return this.record("transpose", [sum], { permutation });
  }
}
