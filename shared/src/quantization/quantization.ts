import { hadamardBlock } from "../numeric/hadamard.js";

/** Precisions below that of the checkpoint. `int8`: weights and inputs of products in 8 bits, for speed. `int4`: weights in blocks of 4 bits
 * (8 for those that suffer most), for memory. */
export type Quantization = "int8" | "int4";

/** Changes whenever quantised numbers do: part of cache keys and of the numerics id. */
export const QUANTIZATION_VERSION = 3;

/** How a processor adds products of u8 × i8: each in 32 bits, or two neighbours in 16 bits first, which saturate unless the weights are small. */
export type Int8Sums = "whole" | "pairs";

/** How one matrix is stored. */
export type WeightFormat =
  | { readonly kind: "int8"; readonly rotation: number }
  | { readonly kind: "blocks"; readonly bits: 4 | 8; readonly block: number };

/** Inputs per scale: finer blocks gain little and cost a quarter of the memory again. */
const BLOCK = 32;

/** What the model's law depends on most: values go into the sum of attention unmixed, and the down projection reads the products of gate and up,
 * whose range is the widest (SmolLM2-135M at 4 bits: 0.24 nats, with these in 8 bits 0.09). The head is read at every position. */
const SENSITIVE = /(^head|\.v_proj\.weight|\.down_proj\.weight|\.mlp\.c_proj\.weight)$/;

/** Matrices that read what attention has averaged, where nothing stands out: rotating it costs a twentieth of the time and gained 0.0004 nats. */
const AVERAGED = /(\.o_proj\.weight|\.attn\.c_proj\.weight)$/;

/** The format of a matrix that reads `width` inputs. */
export function weightFormat(
  name: string,
  width: number,
  quantization: Quantization,
): WeightFormat {
  if (quantization === "int8")
    return { kind: "int8", rotation: AVERAGED.test(name) ? 1 : hadamardBlock(width) };
  return { kind: "blocks", bits: SENSITIVE.test(name) ? 8 : 4, block: BLOCK };
}
