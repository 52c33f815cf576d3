/**
 * Reads pipes, or chunks in memory, into the parts of an upload.
 *
 * Bytes of a pipe are not copied: the socket reads directly into the buffer of the part. Chunks are copied. Buffers are
 * reused once S3 has acknowledged the part. Reading pauses while no buffer is free, which slows a pipeline down that is faster than the
 * network.
 */
import { Socket } from 'node:net';
import { SnapError } from '../errors.ts';
import { MiB } from '../lib/units.ts';
import { BufferPool } from './buffer-pool.ts';
import { partSize } from './part-plan.ts';
import { closeAll } from './pipes.ts';

export interface Part {
  /** Starts at 1. */
  number: number;
  bytes: Buffer;
  /** Returns the buffer to the pool. The bytes must not be used afterwards. */
  release(): void;
}

export interface PartReaderOptions {
  /** Upper bound of the length of the stream in bytes. It determines the size of the parts. */
  expectedBytes: number;
  /** Maximum number of parts in memory, including the one being filled. */
  held: number;
  signal: AbortSignal;
}

/** The parts of a descriptor. Disposing of them closes a descriptor that nobody has started to read. */
export interface Parts extends AsyncIterable<Part>, Disposable {}

/**
 * Reads a descriptor to its end and closes it.
 * @throws SnapError `COUNT_MISMATCH` if the stream is empty, which no compressor produces; the reason of the signal.
 */
export function readParts(descriptor: number, options: PartReaderOptions): Parts {
  let isStarted = false;
  return {
    async *[Symbol.asyncIterator]() {
      isStarted = true;
      yield* readSections([descriptor], { ...options, after: START, onCheckpoint: () => {} });
    },
    [Symbol.dispose]() {
      if (!isStarted) closeAll([descriptor]);
      isStarted = true;
    },
  };
}

/**
 * One of several streams that are joined to one object: a descriptor, which is read to its end and closed, or chunks,
 * each of which is valid until the next one is taken.
 */
export type Section = number | AsyncIterable<Buffer>;

/** A position where a part and a section end together. An interrupted upload can be resumed there. */
export interface PartCheckpoint {
  /** Number of parts before it. */
  parts: number;
  /** Number of bytes before it. */
  bytes: number;
}

export const START: PartCheckpoint = { parts: 0, bytes: 0 };

export interface SectionReaderOptions extends PartReaderOptions {
  /** Where the first section starts. */
  after: PartCheckpoint;
  /** Called when all parts before the checkpoint have been yielded. */
  onCheckpoint: (checkpoint: PartCheckpoint) => void;
}

/**
 * Reads a descriptor to its end, in buffers of one size, and closes it.
 * @param held maximum number of buffers in use at the same time.
 */
export async function* readBuffers(
  descriptor: number,
  size: number,
  held: number,
  signal: AbortSignal,
): AsyncGenerator<{ buffer: Buffer; length: number; release: () => void }> {
  const pool = new BufferPool(held);
  using source = new PartSource(descriptor);
  for (let isEnded = false; !isEnded; ) {
    const buffer = await pool.take(size, signal);
    const length = await source.fill(buffer, signal);
    isEnded = length < size;
    if (length > 0) yield { buffer, length, release: () => pool.release(buffer) };
  }
}

/** S3 requires this size of all parts except the last. */
const MIN_PART_BYTES = 5 * MiB;

/**
 * Reads sections one after another to their ends and closes them. A part that is at least half full ends together with
 * the section, so that the upload can be resumed there.
 * @throws like `readParts`, and what a section throws.
 */
export async function* readSections(
  sections: AsyncIterable<Section> | Iterable<Section>,
  options: SectionReaderOptions,
): AsyncGenerator<Part> {
  const { after, expectedBytes, held, signal, onCheckpoint } = options;
  const pool = new BufferPool(held);
  const done = { ...after };
  const filling: { buffer: Buffer | null; length: number } = { buffer: null, length: 0 };
  const part = (buffer: Buffer): Part => {
    const bytes = buffer.subarray(0, filling.length);
    done.parts++;
    done.bytes += filling.length;
    Object.assign(filling, { buffer: null, length: 0 });
    return { number: done.parts, bytes, release: () => pool.release(buffer) };
  };
  for await (const section of sections) {
    await using source = openSource(section);
    for (let isEnded = false; !isEnded; ) {
      filling.buffer ??= await pool.take(partSize(done.parts + 1, expectedBytes), signal);
      const { buffer, length } = filling;
      const count = await source.fill(buffer.subarray(length), signal);
      filling.length += count;
      isEnded = filling.length < buffer.length;
      if (!isEnded) yield part(buffer);
    }
    const { buffer, length } = filling;
    if (buffer && length >= Math.max(MIN_PART_BYTES, buffer.length / 2)) yield part(buffer);
    if (filling.length === 0) onCheckpoint({ ...done });
  }
  const { buffer, length } = filling;
  if (done.bytes + length === 0) throw new SnapError('COUNT_MISMATCH', 'the compressor ended without writing any data');
  if (buffer && length > 0) yield part(buffer);
}

const openSource = (section: Section) =>
  typeof section === 'number' ? new PartSource(section) : new ChunkSource(section);

/** Fills buffers from chunks in memory. */
class ChunkSource implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Buffer>;
  /** The bytes of the current chunk that did not fit into the last buffer. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** @returns the number of bytes copied. It is less than the length of the buffer only at the end of the chunks. */
  async fill(buffer: Buffer, signal: AbortSignal): Promise<number> {
    for (let filled = 0; ; ) {
      const count = this.#rest.copy(buffer, filled);
      this.#rest = this.#rest.subarray(count);
      filled += count;
      if (filled === buffer.length) return filled;
      signal.throwIfAborted();
      const { done, value } = await this.#chunks.next();
      if (done) return filled;
      this.#rest = value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** Bytes per read, as many as a pipe can hold. */
const READ_BYTES = 1_048_576;

interface Filling {
  buffer: Buffer;
  length: number;
  done: (length: number) => void;
  failed: (error: unknown) => void;
}

/**
 * Fills one buffer after another from a descriptor. A socket chooses the target of its next read as soon as a read has
 * completed. At the end of a part, the buffer of the next part is not available yet, so that read goes to a spare
 * buffer and is copied later.
 */
class PartSource implements Disposable {
  readonly #socket: Socket;
  readonly #spare = Buffer.allocUnsafeSlow(READ_BYTES);
  /** Bytes in the spare buffer that did not fit into the previous target. */
  #rest = Buffer.alloc(0);
  #filling: Filling | null = null;
  #ended = false;
  #error: Error | null = null;

  constructor(descriptor: number) {
    this.#socket = new Socket({
      fd: descriptor,
      readable: true,
      writable: false,
      onread: { buffer: () => this.#target(), callback: (length, buffer) => this.#onRead(length, buffer) },
    });
    this.#socket.pause();
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.on('error', (error) => {
      this.#error = error;
      this.#filling?.failed(error);
    });
  }

  /** @returns the number of bytes read. It is less than the length of the buffer only at the end of the stream. */
  fill(buffer: Buffer, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    if (this.#error) throw this.#error;
    const count = this.#rest.copy(buffer);
    this.#rest = this.#rest.subarray(count);
    if (this.#ended || count === buffer.length) return Promise.resolve(count);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#filling = { buffer, length: count, done: resolve, failed: reject };
    this.#socket.resume();
    return promise.finally(() => {
      this.#filling = null;
      signal.removeEventListener('abort', onAbort);
    });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #target(): Buffer {
    const filling = this.#filling;
    if (!filling || filling.length === filling.buffer.length) return this.#spare;
    return filling.buffer.subarray(filling.length, filling.length + READ_BYTES);
  }

  /** @returns whether to continue reading. */
  #onRead(length: number, target: Uint8Array): boolean {
    const filling = this.#filling;
    if (!filling) {
      this.#error = new SnapError('BUG', `${length} bytes arrived that nobody waited for`);
      return false;
    }
    if (target.buffer === this.#spare.buffer) filling.length += this.#takeSpare(filling, length);
    else filling.length += length;
    if (filling.length < filling.buffer.length) return true;
    filling.done(filling.length);
    return false;
  }

  /** Reading stays paused until all spare bytes have been used, so the next read cannot overwrite them. */
  #takeSpare({ buffer, length: filled }: Filling, length: number): number {
    const count = this.#spare.copy(buffer, filled, 0, length);
    this.#rest = this.#spare.subarray(count, length);
    return count;
  }

  #onEnd(): void {
    this.#ended = true;
    this.#filling?.done(this.#filling.length);
  }
}
