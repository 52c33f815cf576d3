/**
 * A pipe's bytes, as parts of an upload.
 *
 * Bytes land where they leave from: the socket reads straight into the buffer of the part, and buffers are used
 * again once S3 has acknowledged them. Reading pauses while no buffer is free, which is what stops a pipeline that is
 * faster than the network.
 */
import { Socket } from 'node:net';
import { SnapError } from '../errors.ts';
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
export async function* readParts(descriptor: number, options: PartReaderOptions): AsyncGenerator<Part> {
  const pool = new BufferPool(options.held);
  using source = new PartSource(descriptor);
  for (let number = 1; ; number++) {
    const buffer = await pool.take(partSize(number, options.expectedBytes), options.signal);
    const length = await source.fill(buffer, options.signal);
    if (length > 0) yield { number, bytes: buffer.subarray(0, length), release: () => pool.giveBack(buffer) };
    else if (number === 1) throw new SnapError('COUNT_MISMATCH', 'the compressor ended without writing a byte');
    if (length < buffer.length) return;
  }
}

/** Bytes asked of the kernel at once: as many as a pipe can hold. */
const READ_AT_ONCE = 1_048_576;

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
  readonly #spare = Buffer.allocUnsafeSlow(READ_AT_ONCE);
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
    if (this.#ended) return Promise.resolve(0);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#filling = { buffer, length: 0, done: resolve, failed: reject };
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
    return filling.buffer.subarray(filling.length, filling.length + READ_AT_ONCE);
  }

  /** @returns whether to go on reading. */
  #arrived(length: number, target: Uint8Array): boolean {
    const filling = this.#filling;
    if (!filling) {
      this.#error = new SnapError('BUG', `${length} bytes arrived that nobody waited for`);
      return false;
    }
    if (target.buffer === this.#spare.buffer) this.#spare.copy(filling.buffer, filling.length, 0, length);
    filling.length += length;
    if (filling.length < filling.buffer.length) return true;
    filling.done(filling.length);
    return false;
  }

  #finish(): void {
    this.#ended = true;
    this.#filling?.done(this.#filling.length);
  }
}
