/** Unpacks compressed reports as a stream. Errors for truncated, damaged or oversized files name the file. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { SnapError } from '../errors.ts';
import { KiB, MiB } from '../lib/units.ts';

/** Larger chunks are no faster, and accumulate until the next garbage collection. */
const CHUNK = 64 * KiB;

/** Compression ratios of reports are 10 to 60; the maximum of deflate is 1,032. */
const MAX_RATIO = 400;

/** The ratio is not checked below this unpacked size in bytes. */
const UNCHECKED_BYTES = 256 * MiB;

/** Unpacks gzip files, which may consist of several members. */
export async function* gunzipped(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  const finished = pipeline(Readable.from(chunks, { objectMode: false }), gunzip, { signal });
  finished.catch(() => {});
  const limit = new RatioLimit(name);
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      limit.check(chunk.length, gunzip.bytesWritten);
      yield chunk;
    }
    await finished;
  } catch (error) {
    throw explained(error, name, signal);
  } finally {
    gunzip.destroy();
    await finished.catch(() => {});
  }
}

/** Stops files that unpack to far more than reports do, such as decompression bombs. */
export class RatioLimit {
  readonly #name: string;
  #unpacked = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** @param packed compressed bytes read so far. @throws SnapError `REPORT` */
  check(added: number, packed: number): void {
    this.#unpacked += added;
    if (this.#unpacked <= UNCHECKED_BYTES || this.#unpacked <= packed * MAX_RATIO) return;
    throw new SnapError('REPORT', `${this.#name} unpacks to more than ${MAX_RATIO} times its size`, {
      hint: 'cost reports do not; the file may be a decompression bomb; unpack it manually to check it',
    });
  }
}

function explained(error: unknown, name: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (error instanceof SnapError || !code.startsWith('Z_')) return error;
  return code === 'Z_BUF_ERROR' ? cutShort(name, error) : damaged(name, error);
}

const cutShort = (name: string, cause: unknown): SnapError =>
  new SnapError('REPORT', `${name} is truncated: it ends in the middle of its compressed data`, {
    hint: 'download it again, and compare its size with the object in the bucket',
    cause,
  });

export const damaged = (name: string, cause: unknown): SnapError =>
  new SnapError('REPORT', `${name} is damaged and cannot be unpacked`, { hint: 'download it again', cause });
