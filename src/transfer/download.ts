/**
 * Downloads an object with several range requests in flight. Broken requests are resumed, and the bytes stay in order.
 *
 * All requests name the same ETag, so an object that is replaced during the download causes an error instead of a
 * mixture.
 */
import { crc32 } from 'node:zlib';
import type { ObjectReader } from '../cloud/ports.ts';
import { SnapError } from '../errors.ts';
import { sleep } from '../lib/clock.ts';
import { MiB } from '../lib/units.ts';
import { BufferPool } from './buffer-pool.ts';
import { writeAll } from './pipes.ts';

export interface DownloadOptions {
  /** Maximum number of ranges in flight. */
  streams: number;
  signal: AbortSignal;
  onBytes: (count: number) => void;
}

export interface Downloaded {
  /** Bytes that were fetched from the store. */
  bytes: number;
  /** CRC-32 of all bytes that were written. */
  crc32: number;
}

/** A range of the object, or bytes to insert. */
export type Extent = { from: number; to: number } | Buffer;

const RANGE_BYTES = 8 * MiB;

/**
 * Writes extents of an object to a pipe, in the given order.
 * @param descriptor the write end of a pipe, which the caller closes. If its reader stops early, the rest is not
 * fetched, and the result has the number of bytes.
 * @throws SnapError of the store, or `DOWNLOAD_FAILED` if a range makes no progress; the reason of the signal.
 */
export async function downloadInto(
  descriptor: number,
  object: ObjectReader,
  extents: readonly Extent[],
  options: DownloadOptions,
): Promise<Downloaded> {
  const stopped = new AbortController();
  const signal = AbortSignal.any([options.signal, stopped.signal]);
  const pool = new BufferPool(options.streams + 1);
  const running: { range: Promise<Buffer>; buffer: Buffer | null }[] = [];
  const result: Downloaded = { bytes: 0, crc32: 0 };
  const chunks = chunksOf(extents);
  const startMore = async () => {
    while (running.length < options.streams) {
      const { value: chunk, done } = chunks.next();
      if (done) return;
      running.push(await start(chunk));
    }
  };
  const start = async (chunk: Extent): Promise<(typeof running)[number]> => {
    if (Buffer.isBuffer(chunk)) return { range: Promise.resolve(chunk), buffer: null };
    const buffer = await pool.take(RANGE_BYTES, signal);
    const range = fetchRange(object, buffer.subarray(0, chunk.to - chunk.from), chunk.from, signal);
    range.catch(() => {});
    return { range, buffer };
  };
  try {
    await startMore();
    for (let first = running.shift(); first; first = running.shift()) {
      const bytes = await first.range;
      result.crc32 = crc32(bytes, result.crc32);
      if (first.buffer) result.bytes += bytes.length;
      if (!(await writeAll(descriptor, bytes))) return result;
      options.onBytes(bytes.length);
      if (first.buffer) pool.release(first.buffer);
      await startMore();
    }
    return result;
  } finally {
    stopped.abort(new Error('the download has ended'));
    await Promise.allSettled(running.map(({ range }) => range));
  }
}

/** Splits extents into ranges of one request each. */
function* chunksOf(extents: readonly Extent[]): Generator<Extent> {
  for (const extent of extents) {
    if (Buffer.isBuffer(extent)) yield extent;
    else {
      for (let from = extent.from; from < extent.to; from += RANGE_BYTES)
        yield { from, to: Math.min(extent.to, from + RANGE_BYTES) };
    }
  }
}

/**
 * Yields the bytes of an object in order.
 * @throws SnapError of the store, or `DOWNLOAD_FAILED` if a range makes no progress; the reason of the signal.
 */
export async function* downloadBytes(
  object: ObjectReader,
  size: number,
  { streams, signal }: Pick<DownloadOptions, 'streams' | 'signal'>,
): AsyncGenerator<Buffer> {
  const stopped = new AbortController();
  const either = AbortSignal.any([signal, stopped.signal]);
  const running: Promise<Buffer>[] = [];
  let next = 0;
  const startMore = () => {
    for (; next < size && running.length < streams; next += RANGE_BYTES) {
      const range = fetchRange(object, Buffer.allocUnsafeSlow(Math.min(RANGE_BYTES, size - next)), next, either);
      range.catch(() => {});
      running.push(range);
    }
  };
  try {
    startMore();
    for (let first = running.shift(); first; first = running.shift()) {
      yield await first;
      startMore();
    }
  } finally {
    stopped.abort(new Error('the download has ended'));
    await Promise.allSettled(running);
  }
}

/** Consecutive requests without a single byte after which a range fails. */
const MAX_STALLED_ATTEMPTS = 6;

async function fetchRange(object: ObjectReader, target: Buffer, start: number, signal: AbortSignal): Promise<Buffer> {
  let filled = 0;
  let cause: unknown;
  for (let stalled = 0; filled < target.length; ) {
    const before = filled;
    try {
      for await (const chunk of await object.read(start + filled, start + target.length, { signal })) {
        target.set(chunk.subarray(0, target.length - filled), filled);
        filled += Math.min(chunk.length, target.length - filled);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SnapError || isProgrammingError(error)) throw error;
      cause = error;
    }
    if (filled === before) stalled++;
    else stalled = 0;
    if (stalled === MAX_STALLED_ATTEMPTS) {
      throw new SnapError(
        'DOWNLOAD_FAILED',
        `${object.key}: no data could be read from byte ${start + filled} on in ${MAX_STALLED_ATTEMPTS} attempts`,
        { hint: 'check the network and the status of the store, then run the same command again', cause },
      );
    }
    if (stalled > 0) await sleep(100 * 2 ** stalled, signal);
  }
  return target;
}

/** Whether the error is a bug of this program, which a retry does not resolve. Broken connections have other errors. */
const isProgrammingError = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
