import { invariant } from "../../errors/invariant.js";
import { TandemError } from "../../errors/tandem-error.js";
import { formatShape } from "../broadcast.js";
import type { OpAttributes, OpName } from "../op-attributes.js";
import type { DType, Shape, Tensor } from "../tensor-ops.js";

/** Types of an operation's results, from those of its inputs. */
export type TypeRule<A> = (inputs: readonly Tensor[], attributes: A) => readonly Tensor[];
export type TypeRules<O extends OpName> = { readonly [K in O]: TypeRule<OpAttributes[K]> };

export function tensorType(dtype: DType, shape: Shape): Tensor {
  return { dtype, shape };
}

interface Tuples {
  readonly 1: readonly [Tensor];
  readonly 2: readonly [Tensor, Tensor];
  readonly 3: readonly [Tensor, Tensor, Tensor];
  readonly 6: readonly [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
}

/** The inputs as a tuple of the wanted length. */
export function inputsOf<N extends keyof Tuples>(inputs: readonly Tensor[], count: N): Tuples[N] {
  invariant(inputs.length === count, `an operation of ${count} inputs got ${inputs.length}`);
  return inputs as unknown as Tuples[N];
}

export function describe(x: Tensor): string {
  return `${x.dtype}${formatShape(x.shape)}`;
}

export function requireThat(condition: boolean, message: () => string): void {
  if (!condition) throw new TandemError("INVALID_ARGUMENT", message());
}

export function requireFloat(x: Tensor, what: string): void {
  requireThat(x.dtype === "f32" || x.dtype === "f16" || x.dtype === "f64", () => {
    return `${what} needs a floating-point tensor, got ${describe(x)}`;
  });
}

export function requireDType(x: Tensor, dtype: DType, what: string): void {
  requireThat(x.dtype === dtype, () => `${what} needs ${dtype}, got ${describe(x)}`);
}
