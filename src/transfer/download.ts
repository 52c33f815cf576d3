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
import { KiB, MiB } from '../lib/units.ts';
import { BufferPool } from './buffer-pool.ts';
import { writeAll } from './pipes.ts';

export interface DownloadOptions {
  /** Name of the bucket, for error messages. */
  bucket: string;
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

/** Bytes of the object. */
export const lengthOf = (extents: readonly Extent[]): number =>
  extents.reduce((sum, extent) => sum + (Buffer.isBuffer(extent) ? 0 : extent.to - extent.from), 0);

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
  const source = { object, bucket: options.bucket };
  const running: { range: Promise<Buffer>; buffer: Buffer | null }[] = [];
  const result: Downloaded = { bytes: 0, crc32: 0 };
  const ranges = rangesOf(extents);
  const startMore = async () => {
    while (running.length < options.streams) {
      const { value: next, done } = ranges.next();
      if (done) return;
      running.push(await start(next));
    }
  };
  const start = async (next: Extent): Promise<(typeof running)[number]> => {
    if (Buffer.isBuffer(next)) return { range: Promise.resolve(next), buffer: null };
    const buffer = await pool.take(RANGE_BYTES, signal);
    const range = fetchRange(source, buffer.subarray(0, next.to - next.from), next.from, signal);
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
function* rangesOf(extents: readonly Extent[]): Generator<Extent> {
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
  { bucket, streams, signal }: Pick<DownloadOptions, 'bucket' | 'streams' | 'signal'>,
): AsyncGenerator<Buffer> {
  const stopped = new AbortController();
  const either = AbortSignal.any([signal, stopped.signal]);
  const running: Promise<Buffer>[] = [];
  let next = 0;
  const startMore = () => {
    for (; next < size && running.length < streams; next += RANGE_BYTES) {
      const target = Buffer.allocUnsafeSlow(Math.min(RANGE_BYTES, size - next));
      const range = fetchRange({ object, bucket }, target, next, either);
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

/** Reads an object into memory. @throws as `downloadBytes`. */
export async function downloadWhole(
  object: ObjectReader,
  size: number,
  options: Pick<DownloadOptions, 'bucket' | 'streams' | 'signal'>,
): Promise<Buffer> {
  const body = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for await (const chunk of downloadBytes(object, size, options)) {
    body.set(chunk, filled);
    filled += chunk.length;
  }
  return body;
}

/** Consecutive requests without progress after which a range fails. */
const MAX_STALLED_ATTEMPTS = 6;

/**
 * Bytes of one request that count as progress. Without a minimum, a connection that stalls after a few bytes each time
 * would be retried hundreds of thousands of times.
 */
const MIN_PROGRESS = 64 * KiB;

interface Source {
  object: ObjectReader;
  /** Name of the bucket, for error messages. */
  bucket: string;
}

/**
 * Reads one range of an object into a buffer, which has the length of the range.
 * @throws SnapError of the store, or `DOWNLOAD_FAILED` if it makes no progress; the reason of the signal.
 */
export async function fetchRange(source: Source, target: Buffer, start: number, signal: AbortSignal): Promise<Buffer> {
  let filled = 0;
  for (let stalled = 0; ; ) {
    const { bytes, cause } = await readOnce(source.object, target.subarray(filled), start + filled, signal);
    filled += bytes;
    if (filled === target.length) return target;
    stalled = bytes < MIN_PROGRESS ? stalled + 1 : 0;
    if (stalled === MAX_STALLED_ATTEMPTS) throw noProgress(source, start + filled, cause);
    if (stalled > 0) await sleep(100 * 2 ** stalled, signal);
  }
}

/** @returns the number of bytes that were read, and the error that ended the request, if any. */
async function readOnce(
  object: ObjectReader,
  target: Buffer,
  start: number,
  signal: AbortSignal,
): Promise<{ bytes: number; cause?: unknown }> {
  let bytes = 0;
  try {
    for await (const chunk of await object.read(start, start + target.length, { signal })) {
      const wanted = chunk.subarray(0, target.length - bytes);
      target.set(wanted, bytes);
      bytes += wanted.length;
    }
    return { bytes };
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SnapError || isProgrammingError(cause)) throw cause;
    return { bytes, cause };
  }
}

const noProgress = ({ object, bucket }: Source, position: number, cause: unknown): SnapError =>
  new SnapError(
    'DOWNLOAD_FAILED',
    `could not read s3://${bucket}/${object.key}: no progress at byte ${position} in ${MAX_STALLED_ATTEMPTS} attempts`,
    { hint: 'check the network and the status of the store, then run the same command again', cause },
  );

/** Whether the error is a bug of this program, which a retry does not resolve. Broken connections have other errors. */
const isProgrammingError = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
