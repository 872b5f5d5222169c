/** What a session eats and returns. f16 and bf16 travel as their bits. */
export type HostTensor =
  | { readonly dtype: "f32"; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: "f64"; readonly shape: readonly number[]; readonly data: Float64Array }
  | { readonly dtype: "i64"; readonly shape: readonly number[]; readonly data: BigInt64Array }
  | { readonly dtype: "i32"; readonly shape: readonly number[]; readonly data: Int32Array }
  | { readonly dtype: "u8" | "bool"; readonly shape: readonly number[]; readonly data: Uint8Array }
  | { readonly dtype: "f16"; readonly shape: readonly number[]; readonly data: Uint16Array };

export function f32Tensor(data: Float32Array, shape: readonly number[]): HostTensor {
  return { dtype: "f32", shape, data };
}

/** i64 from any array of integers. */
export function i64Tensor(
  values: ArrayLike<number> | BigInt64Array,
  shape: readonly number[],
): HostTensor {
  if (values instanceof BigInt64Array) return { dtype: "i64", shape, data: values };
  const data = new BigInt64Array(values.length);
  for (let index = 0; index < values.length; index++) data[index] = BigInt(values[index] as number);
  return { dtype: "i64", shape, data };
}
