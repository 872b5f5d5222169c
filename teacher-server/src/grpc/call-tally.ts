import type { CallObserver } from "../calls/call-context.js";

/** What one call came to. */
export interface CallTally {
  items: number;
  refused: number;
  positions: number;
  receivedBytes: number;
  sentBytes: number;
}

export function emptyTally(): CallTally {
  return { items: 0, refused: 0, positions: 0, receivedBytes: 0, sentBytes: 0 };
}

/** An observer that counts for one call what it passes on to the server's. */
export function tallying(observer: CallObserver, tally: CallTally): CallObserver {
  return {
    ...observer,
    onItem: (method, code, usage) => {
      tally.items++;
      if (code !== "OK") tally.refused++;
      tally.positions += usage?.computedPositions ?? 0;
      observer.onItem(method, code, usage);
    },
  };
}
