/** The times that a filesystem can store. */

/** Nanoseconds since the epoch. */
export interface KeptTimes {
  /** `null` in either field if there is no known limit. */
  from: bigint | null;
  to: bigint | null;
  /** Times are rounded down to a multiple of this. */
  step: bigint;
}

export const isKept = (time: bigint, { from, to, step }: KeptTimes): boolean =>
  (from === null || time >= from) && (to === null || time <= to) && time % step === 0n;
