/**
 * An object of the store into a pipe: several ranges at once, in order, each taken up again where a connection broke.
 *
 * All ranges are pinned to one ETag, so that an object that is replaced meanwhile is noticed rather than mixed.
 */
import { crc32 } from 'node:zlib';
import type { ObjectReader } from '../cloud/ports.ts';
import { SnapError } from '../errors.ts';
import { sleep } from '../lib/clock.ts';
import { MiB } from '../lib/units.ts';
import { BufferPool } from './buffer-pool.ts';
import { writeAll } from './pipes.ts';

export interface DownloadOptions {
  /** Ranges on their way at once. */
  streams: number;
  signal: AbortSignal;
  onBytes: (count: number) => void;
}

export interface Downloaded {
  /** That were fetched. */
  bytes: number;
  /** CRC-32 of all bytes that were written. */
  crc32: number;
}

/** Bytes of the object from one place to another, or bytes that are there already. */
export type Extent = { from: number; to: number } | Buffer;

const RANGE = 8 * MiB;

/**
 * @param extents what of the object, and what to put between, in this order.
 * @param descriptor the write end of a pipe; it stays the caller's. Whoever reads it may stop early: what is left is
 *   not fetched then, and the number of bytes tells.
 * @throws SnapError the store's own, `DOWNLOAD_FAILED` when a range makes no progress; the signal's reason.
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
    const buffer = await pool.take(RANGE, signal);
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
      if (first.buffer) pool.giveBack(first.buffer);
      await startMore();
    }
    return result;
  } finally {
    stopped.abort(new Error('the download has ended'));
    await Promise.allSettled(running.map(({ range }) => range));
  }
}

/** In pieces that are fetched by one request each. */
function* chunksOf(extents: readonly Extent[]): Generator<Extent> {
  for (const extent of extents) {
    if (Buffer.isBuffer(extent)) yield extent;
    else {
      for (let from = extent.from; from < extent.to; from += RANGE)
        yield { from, to: Math.min(extent.to, from + RANGE) };
    }
  }
}

/**
 * The same for whoever takes bytes rather than a pipe.
 * @throws SnapError the store's own, `DOWNLOAD_FAILED` when a range makes no progress; the signal's reason.
 */
export async function* downloaded(
  object: ObjectReader,
  size: number,
  { streams, signal }: Pick<DownloadOptions, 'streams' | 'signal'>,
): AsyncGenerator<Buffer> {
  const stopped = new AbortController();
  const either = AbortSignal.any([signal, stopped.signal]);
  const running: Promise<Buffer>[] = [];
  let next = 0;
  const startMore = () => {
    for (; next < size && running.length < streams; next += RANGE) {
      const range = fetchRange(object, Buffer.allocUnsafeSlow(Math.min(RANGE, size - next)), next, either);
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

/** Tries without a byte between them before a range is given up. */
const FRUITLESS = 6;

async function fetchRange(object: ObjectReader, target: Buffer, start: number, signal: AbortSignal): Promise<Buffer> {
  let filled = 0;
  let cause: unknown;
  for (let fruitless = 0; filled < target.length; ) {
    const before = filled;
    try {
      for await (const chunk of await object.read(start + filled, start + target.length, { signal })) {
        target.set(chunk.subarray(0, target.length - filled), filled);
        filled += Math.min(chunk.length, target.length - filled);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SnapError || isOurs(error)) throw error;
      cause = error;
    }
    if (filled === before) fruitless++;
    else fruitless = 0;
    if (fruitless === FRUITLESS) {
      throw new SnapError(
        'DOWNLOAD_FAILED',
        `${object.key}: no byte came from byte ${start + filled} on, ${FRUITLESS} times`,
        { hint: 'the network or the store is in trouble; run the command again later', cause },
      );
    }
    if (fruitless > 0) await sleep(100 * 2 ** fruitless, signal);
  }
  return target;
}

/** A mistake of this program, which no further try undoes. Connections that break are told by errors without a kind. */
const isOurs = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
