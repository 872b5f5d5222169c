import { lawCount, type HeadWish } from "./engine-step.js";

/** The part of a wish that concerns laws first … first+count−1: what a chunk of a long sequence asks for. */
export function sliceHead(head: HeadWish, first: number, count: number): HeadWish {
  if (first === 0 && count === lawCount(head)) return head;
  const end = first + count;
  const tauCount = head.taus === undefined ? 0 : head.taus.length / lawCount(head);
  const { sample, ...rest } = head;
  return {
    ...rest,
    ...(sample && end === lawCount(head) && { sample }),
    targets: head.targets.subarray(first, end),
    ...(head.taus && { taus: head.taus.subarray(first * tauCount, end * tauCount) }),
    ...(head.atOffsets && head.atIds && sliceRagged(head.atOffsets, head.atIds, first, end)),
    ...(head.random && {
      random: { ...head.random, firstPosition: head.random.firstPosition + first },
    }),
  };
}

function sliceRagged(
  offsets: Uint32Array,
  ids: Uint32Array,
  first: number,
  end: number,
): { readonly atOffsets: Uint32Array; readonly atIds: Uint32Array } {
  const base = offsets[first] as number;
  return {
    atOffsets: offsets.slice(first, end + 1).map((offset) => offset - base),
    atIds: ids.subarray(base, offsets[end] as number),
  };
}
