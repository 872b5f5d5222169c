/** Why a sequence is over. */
export type Finish = "none" | "stop" | "length";

export interface StopCut {
  /** Tokens kept of those offered, a stop token included. */
  readonly kept: number;
  readonly finish: Finish;
}

/** Applies stop ids and the length limit to tokens about to be appended, whoever wrote them: everything behind the first stop
 * token, or behind `room` tokens, is discarded. A stop token on the last free place counts as a stop. */
export function cutAtStop(
  tokens: ArrayLike<number>,
  stopIds: ReadonlySet<number>,
  room: number,
): StopCut {
  const limit = Math.min(tokens.length, room);
  for (let i = 0; i < limit; i++) {
    if (stopIds.has(tokens[i] as number)) return { kept: i + 1, finish: "stop" };
  }
  return { kept: limit, finish: limit === room ? "length" : "none" };
}
