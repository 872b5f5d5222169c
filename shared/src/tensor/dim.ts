/**
 * Sizes that are known only when the graph runs, as integer polynomials of named symbols: `"B"`, `"B*T"`, `"T-1"`, `"2*N+A"`.
 * A `Dim` is always kept in canonical form (terms and factors sorted), so that equal sizes are equal strings.
 */
import { TandemError } from "../errors/tandem-error.js";
import type { Dim, Shape } from "./tensor-ops.js";

/** Monomial (its symbols sorted and joined by `*`; "" is the constant term) → integer factor. */
type Polynomial = ReadonlyMap<string, number>;

const SYMBOL = /^[A-Za-z_][A-Za-z0-9_.]*$/;

function parseDim(dim: Dim): Polynomial {
  if (typeof dim === "number") return new Map(dim === 0 ? [] : [["", dim]]);
  const terms = new Map<string, number>();
  for (const term of dim.replaceAll("-", "+-").split("+")) {
    if (term === "") continue;
    const symbols: string[] = [];
    let factor = 1;
    for (const part of term.replace(/^-/, "-1*").split("*")) {
      if (SYMBOL.test(part)) symbols.push(part);
      else if (/^-?\d+$/.test(part)) factor *= Number(part);
      else
        throw new TandemError("INVALID_ARGUMENT", `"${dim}" is not a size: use a number or a name`);
    }
    const key = symbols.sort().join("*");
    terms.set(key, (terms.get(key) ?? 0) + factor);
  }
  return terms;
}

function formatDim(polynomial: Polynomial): Dim {
  const terms = [...polynomial].filter(([, factor]) => factor !== 0);
  if (terms.length === 0) return 0;
  terms.sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1));
  const [first] = terms;
  if (terms.length === 1 && first?.[0] === "") return first[1];
  const parts = terms.map(([symbols, factor]) => {
    if (symbols === "") return String(factor);
    if (factor === 1) return symbols;
    return factor === -1 ? `-${symbols}` : `${factor}*${symbols}`;
  });
  return parts.join("+").replaceAll("+-", "-");
}

/** The canonical form of a size written by hand (`"T*B"` → `"B*T"`). */
export function canonicalDim(dim: Dim): Dim {
  return typeof dim === "number" ? dim : formatDim(parseDim(dim));
}

export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  const sum = new Map(parseDim(a));
  for (const [key, factor] of parseDim(b)) sum.set(key, (sum.get(key) ?? 0) + factor);
  return formatDim(sum);
}

export function multiplyDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a * b;
  const product = new Map<string, number>();
  for (const [left, leftFactor] of parseDim(a)) {
    for (const [right, rightFactor] of parseDim(b)) {
      const symbols = [...left.split("*"), ...right.split("*")].filter((symbol) => symbol !== "");
      const key = symbols.sort().join("*");
      product.set(key, (product.get(key) ?? 0) + leftFactor * rightFactor);
    }
  }
  return formatDim(product);
}

export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims(a, multiplyDims(b, -1));
}

/** Product of all sizes of a shape. */
export function dimProduct(shape: Shape): Dim {
  return shape.reduce<Dim>(multiplyDims, 1);
}

/** The size that is left when the factors of `divisor` are taken out of those of `dividend`; undefined when that does not come out even. */
export function divideShapes(dividend: Shape, divisor: Shape): Dim | undefined {
  const left = [...dividend];
  const right = divisor.filter((dim) => {
    const at = left.indexOf(dim);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  const denominator = [...parseDim(dimProduct(right))];
  const [monomial] = denominator;
  if (denominator.length !== 1 || monomial === undefined) return undefined;
  const quotient = new Map<string, number>();
  for (const [key, factor] of parseDim(dimProduct(left))) {
    const symbols = key.split("*").filter((symbol) => symbol !== "");
    for (const symbol of monomial[0].split("*").filter((name) => name !== "")) {
      const at = symbols.indexOf(symbol);
      if (at < 0) return undefined;
      symbols.splice(at, 1);
    }
    if (factor % monomial[1] !== 0) return undefined;
    quotient.set(symbols.join("*"), factor / monomial[1]);
  }
  return formatDim(quotient);
}

/** The terms of a size: factor × symbols, for code that computes it from run-time shapes. */
export function dimTerms(
  dim: Dim,
): readonly { readonly factor: number; readonly symbols: readonly string[] }[] {
  return [...parseDim(dim)].map(([key, factor]) => ({
    factor,
    symbols: key.split("*").filter((symbol) => symbol !== ""),
  }));
}

/** The number behind a size, given those of its symbols. @throws INVALID_ARGUMENT when a symbol is not bound. */
export function evaluateDim(dim: Dim, sizes: ReadonlyMap<string, number>): number {
  if (typeof dim === "number") return dim;
  let sum = 0;
  for (const { factor, symbols } of dimTerms(dim)) {
    let product = factor;
    for (const symbol of symbols) {
      const size = sizes.get(symbol);
      if (size === undefined) {
        throw new TandemError("INVALID_ARGUMENT", `the size "${symbol}" is bound by no input`);
      }
      product *= size;
    }
    sum += product;
  }
  return sum;
}

export function isSymbol(dim: Dim): dim is string {
  return typeof dim === "string" && SYMBOL.test(dim);
}
