/** Whether there are data where nothing is known to be. */
import { open } from 'node:fs/promises';
import { GiB, KiB, MiB } from '../../lib/units.ts';

/** Bytes of a device: `to` is not included. */
export interface Segment {
  from: number;
  to: number;
}

export interface DataFound {
  /** Of the blocks of 4 KiB that are not zeros, as far as they were looked at. */
  bytes: number;
  /** Whether only samples were looked at, so that there may be more. */
  isSampled: boolean;
}

/** What is longer is read in samples behind its beginning: a volume may have grown by TiB that nobody has written to. */
const READ_WHOLE = GiB;
const BEGINNING = 64 * MiB;
const STEP = 16 * MiB;
const SAMPLE = 64 * KiB;

const CHUNK_BYTES = MiB;
const BLOCK = Buffer.alloc(4 * KiB);

export async function dataIn(device: string, segments: readonly Segment[], signal: AbortSignal): Promise<DataFound> {
  await using file = await open(device, 'r');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let bytes = 0;
  for (const { from, to } of segments.flatMap((segment) => [...readsOf(segment)])) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, to - from, from);
    bytes += countData(buffer.subarray(0, bytesRead));
  }
  return { bytes, isSampled: segments.some(isLong) };
}

const isLong = ({ from, to }: Segment): boolean => to - from > READ_WHOLE;

function* readsOf(segment: Segment): Generator<Segment> {
  const { from, to } = segment;
  const whole = isLong(segment) ? from + BEGINNING : to;
  for (let at = from; at < whole; at += CHUNK_BYTES) yield { from: at, to: Math.min(at + CHUNK_BYTES, whole) };
  for (let at = whole; at < to; at += STEP) yield { from: at, to: Math.min(at + SAMPLE, to) };
}

function countData(read: Buffer): number {
  let bytes = 0;
  for (let at = 0; at < read.length; at += BLOCK.length) {
    const block = read.subarray(at, at + BLOCK.length);
    if (!block.equals(BLOCK.subarray(0, block.length))) bytes += block.length;
  }
  return bytes;
}
