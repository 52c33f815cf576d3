/** Compressed reports, unpacked as a stream: what is cut short, damaged or a bomb is an error that names the file. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { SnapError } from '../errors.ts';
import { KiB, MiB } from '../lib/units.ts';

/** Larger ones are no faster, and pile up until the garbage collector comes. */
const CHUNK = 64 * KiB;

/** Reports are compressed 10 to 60 times; deflate can do 1,032. */
const MAX_RATIO = 400;

/** Below this nothing is a bomb. */
const ALWAYS_FINE = 256 * MiB;

/** Also of several members, one after the other. */
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

/** Stops what grows far more than reports do. */
export class RatioLimit {
  readonly #name: string;
  #unpacked = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** @param packed bytes that were read so far. @throws SnapError `REPORT` */
  check(added: number, packed: number): void {
    this.#unpacked += added;
    if (this.#unpacked <= ALWAYS_FINE || this.#unpacked <= packed * MAX_RATIO) return;
    throw new SnapError('REPORT', `${this.#name} grows more than ${MAX_RATIO} times when it is unpacked`, {
      hint: 'cost reports do not: it may be made to fill memory or disks; unpack it by hand to see what it is',
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
  new SnapError('REPORT', `${name} is cut short: it ends in the middle of its compressed data`, {
    hint: 'fetch it again, and compare its size with the one in the bucket',
    cause,
  });

export const damaged = (name: string, cause: unknown): SnapError =>
  new SnapError('REPORT', `${name} is damaged, and cannot be unpacked`, { hint: 'fetch it again', cause });
