/** Widest block: wider ones gained nothing measurable, and the product with the matrix costs its width. */
const MAX_BLOCK = 64;

/** Width of the Hadamard blocks for rows of this width: the largest power of two that divides it, at most 64. */
export function hadamardBlock(width: number): number {
  let block = 1;
  while (block < MAX_BLOCK && width % (2 * block) === 0) block *= 2;
  return block;
}

/** The symmetric orthogonal matrix H/√block [block,block] of Sylvester's construction; block is a power of two. It is its own inverse. */
export function hadamardMatrix(block: number): Float32Array {
  const matrix = new Float32Array(block * block);
  for (let i = 0; i < block; i++) {
    matrix[i * block + i] = 1;
    rotateRow(matrix.subarray(i * block, (i + 1) * block), block);
  }
  return matrix;
}

/** Multiplies each run of `block` values by the matrix of `hadamardMatrix`, in place. */
export function rotateRow(row: Float32Array, block: number): void {
  const norm = 1 / Math.sqrt(block);
  for (let begin = 0; begin < row.length; begin += block) {
    for (let half = 1; half < block; half *= 2) {
      for (let i = begin; i < begin + block; i += 2 * half) {
        for (let j = i; j < i + half; j++) {
          const a = row[j]!;
          const b = row[j + half]!;
          row[j] = a + b;
          row[j + half] = a - b;
        }
      }
    }
    for (let i = begin; i < begin + block; i++) row[i]! *= norm;
  }
}
