/**
 * A pipe's bytes, as parts of an upload.
 *
 * Bytes land where they leave from: the socket reads straight into the buffer of the part, and buffers are used
 * again once S3 has acknowledged them. Reading pauses while no buffer is free, which is what stops a pipeline that is
 * faster than the network.
 */
import { Socket } from 'node:net';
import { SnapError } from '../errors.ts';
import { MiB } from '../lib/units.ts';
import { BufferPool } from './buffer-pool.ts';
import { partSize } from './part-plan.ts';

export interface Part {
  /** 1 is the first. */
  number: number;
  bytes: Buffer;
  /** Gives the buffer back; the bytes must not be used afterwards. */
  release(): void;
}

export interface PartReaderOptions {
  /** Bytes that the stream may at most become; decides the size of parts. */
  expectedBytes: number;
  /** Parts that may be held at once, the one being filled included. */
  held: number;
  signal: AbortSignal;
}

/**
 * Reads a descriptor to its end and closes it.
 * @throws SnapError `COUNT_MISMATCH` for a stream without a byte, which no compressor writes; the signal's reason.
 */
export function readParts(descriptor: number, options: PartReaderOptions): AsyncGenerator<Part> {
  const piece: Piece = { source: descriptor, end: async () => {} };
  return readPieces([piece], { ...options, after: START, onSeam: () => {} });
}

/** One of the streams that are joined to one object. */
export interface Piece {
  /** A descriptor, which is read to its end and closed; or bytes that are there already. */
  source: number | Buffer;
  /** Told of the piece's length when it has been read to its end; throws when it must not count. */
  end(bytes: number): Promise<void>;
}

/** A place between two parts that is one between two pieces as well: an upload can be gone on with from there. */
export interface Seam {
  /** Parts before it. */
  parts: number;
  /** Bytes before it. */
  bytes: number;
}

export const START: Seam = { parts: 0, bytes: 0 };

export interface PieceReaderOptions extends PartReaderOptions {
  /** Where the first piece begins. */
  after: Seam;
  /** Told of each seam once all pieces before it have proved to be whole, and all parts before it were handed out. */
  onSeam: (seam: Seam) => void;
}

/** Reads a descriptor to its end, in buffers of one size, and closes it; `held` of them may be out at once. */
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
    if (length > 0) yield { buffer, length, release: () => pool.giveBack(buffer) };
  }
}

/** What S3 asks of every part but the last. */
const MIN_PART = 5 * MiB;

/**
 * Reads pieces one after another, to the end of each, and closes them. A part ends with a piece, rather than when it
 * is full, where it is at least half as long as it should be.
 * @throws as `readParts`, and what the end of a piece throws.
 */
export async function* readPieces(
  pieces: AsyncIterable<Piece> | Iterable<Piece>,
  options: PieceReaderOptions,
): AsyncGenerator<Part> {
  const { after, expectedBytes, held, signal, onSeam } = options;
  const pool = new BufferPool(held);
  const done = { ...after };
  const filling: { buffer: Buffer | null; length: number } = { buffer: null, length: 0 };
  const part = (buffer: Buffer): Part => {
    const bytes = buffer.subarray(0, filling.length);
    done.parts++;
    done.bytes += filling.length;
    Object.assign(filling, { buffer: null, length: 0 });
    return { number: done.parts, bytes, release: () => pool.giveBack(buffer) };
  };
  for await (const { source: from, end } of pieces) {
    using source = openSource(from);
    let pieceBytes = 0;
    for (let isEnded = false; !isEnded; ) {
      filling.buffer ??= await pool.take(partSize(done.parts + 1, expectedBytes), signal);
      const { buffer, length } = filling;
      const count = await source.fill(buffer.subarray(length), signal);
      pieceBytes += count;
      filling.length += count;
      isEnded = filling.length < buffer.length;
      if (!isEnded) yield part(buffer);
    }
    await end(pieceBytes);
    const { buffer, length } = filling;
    if (buffer && length >= Math.max(MIN_PART, buffer.length / 2)) yield part(buffer);
    if (filling.length === 0) onSeam({ ...done });
  }
  const { buffer, length } = filling;
  if (done.bytes + length === 0) throw new SnapError('COUNT_MISMATCH', 'the compressor ended without writing a byte');
  if (buffer && length > 0) yield part(buffer);
}

const openSource = (from: number | Buffer) => (typeof from === 'number' ? new PartSource(from) : new BytesSource(from));

/** What fills buffers from bytes that are there already. */
class BytesSource implements Disposable {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  async fill(buffer: Buffer, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const count = this.#bytes.copy(buffer, 0, this.#position);
    this.#position += count;
    return count;
  }

  [Symbol.dispose](): void {}
}

/** Bytes asked of the kernel at once: as many as a pipe can hold. */
const READ_BYTES = 1_048_576;

interface Filling {
  buffer: Buffer;
  length: number;
  done: (length: number) => void;
  failed: (error: unknown) => void;
}

/**
 * A descriptor that fills one buffer after another. A socket chooses the target of its next read as soon as one has
 * arrived, and by the end of a part the next part's buffer is not there yet: that read goes to a spare buffer, and is
 * copied.
 */
class PartSource implements Disposable {
  readonly #socket: Socket;
  readonly #spare = Buffer.allocUnsafeSlow(READ_BYTES);
  /** What lies in the spare buffer and had no room in the one that was being filled. */
  #rest = Buffer.alloc(0);
  #filling: Filling | null = null;
  #ended = false;
  #error: Error | null = null;

  constructor(descriptor: number) {
    this.#socket = new Socket({
      fd: descriptor,
      readable: true,
      writable: false,
      onread: { buffer: () => this.#target(), callback: (length, buffer) => this.#arrived(length, buffer) },
    });
    this.#socket.pause();
    this.#socket.on('end', () => this.#finish());
    this.#socket.on('error', (error) => {
      this.#error = error;
      this.#filling?.failed(error);
    });
  }

  /** @returns how many bytes were read; fewer than the buffer holds only at the end of the stream. */
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

  /** @returns whether to go on reading. */
  #arrived(length: number, target: Uint8Array): boolean {
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

  /** The next read comes only when all of it is taken: reading is paused until then. */
  #takeSpare({ buffer, length: filled }: Filling, length: number): number {
    const count = this.#spare.copy(buffer, filled, 0, length);
    this.#rest = this.#spare.subarray(count, length);
    return count;
  }

  #finish(): void {
    this.#ended = true;
    this.#filling?.done(this.#filling.length);
  }
}
