/** Which times a filesystem can keep. */

/** Nanoseconds since the epoch. */
export interface KeptTimes {
  /** `null`, here and below: no end is known. */
  from: bigint | null;
  to: bigint | null;
  /** A time is kept as the multiple of this before it. */
  step: bigint;
}

export const isKept = (time: bigint, { from, to, step }: KeptTimes): boolean =>
  (from === null || time >= from) && (to === null || time <= to) && time % step === 0n;
