/**
 * How large the parts of an upload are.
 *
 * S3 takes 10,000 parts of 5 MiB to 5 GiB. How long a compressed stream becomes is known only at its end, and memory
 * is (parts in flight + 1) × the size of a part: so half of the parts are small, and those after them double again
 * and again. What is expected at the most only sets how small the small ones are.
 * Source of the limits: "Amazon S3 multipart upload limits" of the S3 user guide.
 */
import { GiB, MiB, TiB } from '../lib/units.ts';

export const MAX_PARTS = 10_000;
export const LARGEST_PART = 5 * GiB;

/** Large enough that the time of a round trip does not matter, small enough to hold some of them. */
const SMALLEST = 8 * MiB;
const SMALL_PARTS = 5000;
const DOUBLES_EACH = 500;

/** Beyond this, doubling meets the largest part too soon, so that all parts must be large. */
const HUGE = 25 * TiB;

/** @returns the size in bytes of part `number` (1 is the first) of a stream expected to be at most `expected` bytes. */
export function partSize(number: number, expected: number): number {
  const doublings = Math.max(0, Math.ceil((number - SMALL_PARTS) / DOUBLES_EACH));
  return Math.min(smallSize(expected) * 2 ** doublings, LARGEST_PART);
}

function smallSize(expected: number): number {
  const parts = expected > HUGE ? MAX_PARTS - 1 : 4 * SMALL_PARTS;
  return Math.max(SMALLEST, Math.ceil(expected / parts / MiB) * MiB);
}
