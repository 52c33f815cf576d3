/** Finds data in places that should be unused. */
import { open } from 'node:fs/promises';
import { formatBytes, GiB, KiB, MiB } from '../../lib/units.ts';

/** A range of bytes of a device; `to` is exclusive. */
export interface DeviceRange {
  from: number;
  to: number;
}

export interface DataFound {
  /** Total size of the 4 KiB blocks read that are not zeros. */
  bytes: number;
  /** If only samples were read, so that there may be more data: the distance between them. Otherwise `null`. */
  interval: number | null;
}

/** Longer ranges are read in samples after their start, because a volume may have grown by TiB of unused space. */
const MAX_FULLY_READ = GiB;
const START_BYTES = 64 * MiB;
const SAMPLE_INTERVAL = 16 * MiB;
const SAMPLE_BYTES = 64 * KiB;

/** Maximum number of samples: each takes some milliseconds on a volume that is new. */
const MAX_SAMPLES = 4096;

const CHUNK_BYTES = MiB;
const BLOCK = Buffer.alloc(4 * KiB);

export async function findData(
  device: string,
  ranges: readonly DeviceRange[],
  signal: AbortSignal,
): Promise<DataFound> {
  await using file = await open(device, 'r');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let bytes = 0;
  for (const { from, to } of readsIn(ranges)) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, to - from, from);
    bytes += countData(buffer.subarray(0, bytesRead));
  }
  return { bytes, interval: ranges.some(isLong) ? intervalIn(ranges) : null };
}

/**
 * Describes data that was found, or that samples at long distances may have missed.
 * @param where `after the filesystem`
 * @returns `null` if there is none.
 */
export function describeData({ bytes, interval }: DataFound, where: string): string | null {
  if (bytes > 0) return `data ${where} (${interval === null ? '' : 'at least '}${formatBytes(bytes)})`;
  if (interval === null || interval === SAMPLE_INTERVAL) return null;
  const read = `${formatBytes(SAMPLE_BYTES)} in every ${formatBytes(interval)}`;
  return `data ${where}, if there is any: only ${read} were read`;
}

/** Yields what is read of these ranges, in order. */
export function* readsIn(ranges: readonly DeviceRange[]): Generator<DeviceRange> {
  const interval = intervalIn(ranges);
  for (const range of ranges) {
    const { from, to } = range;
    const whole = isLong(range) ? from + START_BYTES : to;
    for (let at = from; at < whole; at += CHUNK_BYTES) yield { from: at, to: Math.min(at + CHUNK_BYTES, whole) };
    for (let at = whole; at < to; at += interval) yield { from: at, to: Math.min(at + SAMPLE_BYTES, to) };
  }
}

const isLong = ({ from, to }: DeviceRange): boolean => to - from > MAX_FULLY_READ;

/** The distance between samples. All long ranges share the same number of samples. */
function intervalIn(ranges: readonly DeviceRange[]): number {
  const sampled = ranges.filter(isLong).reduce((sum, { from, to }) => sum + to - from, 0);
  let interval = SAMPLE_INTERVAL;
  while (sampled / interval > MAX_SAMPLES) interval *= 2;
  return interval;
}

function countData(read: Buffer): number {
  let bytes = 0;
  for (let at = 0; at < read.length; at += BLOCK.length) {
    const block = read.subarray(at, at + BLOCK.length);
    if (!block.equals(BLOCK.subarray(0, block.length))) bytes += block.length;
  }
  return bytes;
}
