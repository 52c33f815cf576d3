/**
 * Chooses the sizes of the parts of an upload.
 *
 * S3 allows 10,000 parts of 5 MiB to 5 GiB. The length of a compressed stream is known only at its end, and memory is
 * (parts in flight + 1) × part size. The first half of the parts is therefore small, and the sizes of the others double
 * at intervals. The expected length only sets the size of the small parts. Source: "Amazon S3 multipart upload limits"
 * of the S3 user guide.
 */
import { GiB, MiB, TiB } from '../lib/units.ts';

export const MAX_PARTS = 10_000;
export const MAX_PART_BYTES = 5 * GiB;

/** Large enough to make the round-trip time negligible, small enough to hold several parts in memory. */
const MIN_SMALL_PART_BYTES = 8 * MiB;
const SMALL_PARTS = 5000;
const PARTS_PER_DOUBLING = 500;

/** For larger streams, doubling would exceed the largest part too soon, so all their parts are large. */
const MAX_GROWING_STREAM = 25 * TiB;

/**
 * Returns the size of a part in bytes.
 * @param number number of the part, starting at 1.
 * @param expected upper bound of the length of the stream in bytes.
 */
export function partSize(number: number, expected: number): number {
  const doublings = Math.max(0, Math.ceil((number - SMALL_PARTS) / PARTS_PER_DOUBLING));
  return Math.min(smallSize(expected) * 2 ** doublings, MAX_PART_BYTES);
}

function smallSize(expected: number): number {
  const parts = expected > MAX_GROWING_STREAM ? MAX_PARTS - 1 : 4 * SMALL_PARTS;
  return Math.max(MIN_SMALL_PART_BYTES, Math.ceil(expected / parts / MiB) * MiB);
}
