/** Time as the core sees it: handed in, so that schedules are tested without waiting. */
export interface Clock {
  /** Milliseconds from an arbitrary origin; never goes back. */
  now(): number;
}

export const monotonicClock: Clock = { now: () => performance.now() };
