/** Finds data in places that should be unused. */
import { open } from 'node:fs/promises';
import { GiB, KiB, MiB } from '../../lib/units.ts';

/** A range of bytes of a device; `to` is exclusive. */
export interface DeviceRange {
  from: number;
  to: number;
}

export interface DataFound {
  /** Total size of the 4 KiB blocks read that are not zeros. */
  bytes: number;
  /** Whether only samples were read, so that there may be more data. */
  isSampled: boolean;
}

/** Longer ranges are read in samples after their start, because a volume may have grown by TiB of unused space. */
const MAX_FULLY_READ = GiB;
const START_BYTES = 64 * MiB;
const SAMPLE_INTERVAL = 16 * MiB;
const SAMPLE_BYTES = 64 * KiB;

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
  for (const { from, to } of ranges.flatMap((range) => [...readsOf(range)])) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, to - from, from);
    bytes += countData(buffer.subarray(0, bytesRead));
  }
  return { bytes, isSampled: ranges.some(isLong) };
}

const isLong = ({ from, to }: DeviceRange): boolean => to - from > MAX_FULLY_READ;

function* readsOf(range: DeviceRange): Generator<DeviceRange> {
  const { from, to } = range;
  const whole = isLong(range) ? from + START_BYTES : to;
  for (let at = from; at < whole; at += CHUNK_BYTES) yield { from: at, to: Math.min(at + CHUNK_BYTES, whole) };
  for (let at = whole; at < to; at += SAMPLE_INTERVAL) yield { from: at, to: Math.min(at + SAMPLE_BYTES, to) };
}

function countData(read: Buffer): number {
  let bytes = 0;
  for (let at = 0; at < read.length; at += BLOCK.length) {
    const block = read.subarray(at, at + BLOCK.length);
    if (!block.equals(BLOCK.subarray(0, block.length))) bytes += block.length;
  }
  return bytes;
}
