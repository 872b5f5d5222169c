import { unreachable } from "../../errors/invariant.js";
import { hadamardMatrix } from "../../numeric/hadamard.js";
import type { BlockBits, Int8Columns } from "../../tensor/op-attributes.js";
import type { GraphTensor } from "../graph.js";
import type { Lowering, QuantizedWeight } from "./lowering.js";

interface Product {
  /** [N,in]. */
  readonly x: GraphTensor;
  readonly weight: QuantizedWeight;
  /** [N,out]. */
  readonly y: GraphTensor;
}

/** The product of rows with a weight in few bits. */
export function lowerQuantizedMatmul(lowering: Lowering, product: Product): string {
  const { bytes, name } = product.weight;
  switch (bytes.kind) {
    case "int8":
      return lowerInt8(lowering, product, { name, bytes });
    case "blocks":
      return lowerBlocks(lowering, product.x, { name, bytes });
    default:
      return unreachable(bytes);
  }
}

/** Integer sums are exact and everything else is row by row: a row's bits depend on nothing beside it. Equal nodes are emitted
 * once, so products of the same x share its quantisation. */
function lowerInt8(
  lowering: Lowering,
  { x, y }: Product,
  { name, bytes }: { name: string; bytes: Int8Columns },
): string {
  const width = x.shape.at(-1) as number;
  const outputs = bytes.scales.length / 4;
  const rows = unscaledRows(lowering, x);
  const { values, scale } = quantizeRows(
    lowering,
    rotate(lowering, rows.value, { width, block: bytes.rotation }),
  );
  const product = lowering.emit(
    "MatMulIntegerToFloat",
    [
      values,
      lowering.external(`${name}.values`, [width, outputs], bytes.values),
      lowering.float(1),
      lowering.external(`${name}.scales`, [outputs], bytes.scales),
      zeroPoint(lowering),
    ],
    { domain: "com.microsoft" },
  );
  const wholeScale = rows.scale === undefined ? scale : lowering.emit("Mul", [scale, rows.scale]);
  lowering.bindScaled(y, { value: product, scale: wholeScale });
  return lowering.emit("Mul", [
    product,
    lowering.emit("Unsqueeze", [wholeScale, lowering.ints([1])]),
  ]);
}

/** Rows are stretched to 8 bits anyhow: where x = a·(b·scale), it suffices to multiply a·b, and the scale joins that of the result. */
function unscaledRows(
  lowering: Lowering,
  x: GraphTensor,
): { readonly value: string; readonly scale?: string } {
  const [a, b] = x.node.inputs;
  const scaled = x.node.kind === "mul" ? lowering.scaledOf(b as GraphTensor) : undefined;
  if (scaled === undefined) return { value: lowering.nameOf(x) };
  const value = lowering.emit("Mul", [lowering.nameOf(a as GraphTensor), scaled.value]);
  return { value, scale: scaled.scale };
}

/** Mixes neighbouring inputs by a Hadamard matrix, which spreads outliers over the block. */
function rotate(
  lowering: Lowering,
  value: string,
  { width, block }: { readonly width: number; readonly block: number },
): string {
  if (block === 1) return value;
  const matrix = lowering.constant("f32", [block, block], hadamardMatrix(block));
  const blocks = lowering.emit("Reshape", [value, lowering.ints([-1, block])]);
  const rotated = lowering.emit("MatMul", [blocks, matrix]);
  return lowering.emit("Reshape", [rotated, lowering.ints([-1, width])]);
}

/** Rows to u8 around 128, the largest magnitude of each becoming 127. scale: f32 [N]. */
function quantizeRows(
  lowering: Lowering,
  x: string,
): { readonly values: string; readonly scale: string } {
  const extreme = (opType: "ReduceMax" | "ReduceMin") =>
    lowering.emit(opType, [x, lowering.ints([1])], { attributes: { keepdims: { int: 0 } } });
  // Two passes that only read are faster than one that writes magnitudes.
  const largest = lowering.emit("Max", [
    extreme("ReduceMax"),
    lowering.emit("Neg", [extreme("ReduceMin")]),
  ]);
  // A row of zeros has some scale too.
  const floor = lowering.emit("Max", [largest, lowering.float(1e-30)]);
  const scale = lowering.emit("Mul", [floor, lowering.float(1 / 127)]);
  const zero = lowering.emit("Expand", [zeroPoint(lowering), lowering.emit("Shape", [scale])]);
  const values = lowering.emit("QuantizeLinear", [x, scale, zero], {
    attributes: { axis: { int: 0 } },
  });
  return { values, scale };
}

function zeroPoint(lowering: Lowering): string {
  return lowering.constant("u8", [], Uint8Array.of(128));
}

/** `MatMulNBits` rounds the inputs block by block to 8 bits (accuracy level 4), each row by itself. */
function lowerBlocks(
  lowering: Lowering,
  x: GraphTensor,
  { name, bytes }: { name: string; bytes: BlockBits },
): string {
  const { bits, block, values, scales, zeroPoints } = bytes;
  const width = x.shape.at(-1) as number;
  const blocks = Math.ceil(width / block);
  const blockBytes = (block * bits) / 8;
  const outputs = values.length / (blocks * blockBytes);
  return lowering.emit(
    "MatMulNBits",
    [
      lowering.nameOf(x),
      lowering.external(`${name}.values`, [outputs, blocks, blockBytes], values),
      lowering.external(`${name}.scales`, [outputs * blocks], scales),
      lowering.external(`${name}.zeroPoints`, [zeroPoints.length], zeroPoints),
    ],
    {
      domain: "com.microsoft",
      attributes: {
        K: { int: width },
        N: { int: outputs },
        bits: { int: bits },
        block_size: { int: block },
        accuracy_level: { int: 4 },
      },
    },
  );
}
