/** Writes files and devices with direct I/O, bypassing the page cache. */
import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { writeWhole } from './write-whole.ts';

/** Offsets, lengths and buffers of direct I/O must be multiples of at most a page. Source: open(2). */
const ALIGNMENT = 4096;

/** Volumes reach their throughput only with large requests. */
const GATHERED_BYTES = 4 * 1024 * 1024;

/**
 * Combines consecutive writes into large ones and bypasses the page cache. A copy in the cache would cost more CPU time
 * than all other processing, evict the pages of other programs, and have to be flushed at the end anyway. Two writers
 * of one file would also wait for each other. Data that cannot be written directly, such as the unaligned end of a file
 * or files on tmpfs, is written through the cache.
 */
export class DirectWriter implements Disposable {
  readonly #usual: number;
  #direct: number | null;
  /** The memory of a resizable buffer starts at a page boundary. That of other buffers may start anywhere. */
  readonly #gathered = Buffer.from(new ArrayBuffer(GATHERED_BYTES, { maxByteLength: GATHERED_BYTES }));
  #length = 0;
  #position = 0;

  /** @param path an existing file or device. @throws as open(2) */
  constructor(path: string) {
    this.#usual = openSync(path, constants.O_RDWR);
    this.#direct = openDirect(path);
  }

  /** A descriptor of the same file, for reading. */
  get descriptor(): number {
    return this.#usual;
  }

  /**
   * Writes bytes, or keeps them to write them together with later ones.
   * @throws as write(2), also for bytes of earlier calls.
   */
  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      const isNext = this.#position + this.#length === position + done;
      if (!isNext || this.#length === GATHERED_BYTES) {
        this.#flush();
        this.#position = position + done;
      }
      const some = bytes.subarray(done, done + GATHERED_BYTES - this.#length);
      this.#gathered.set(some, this.#length);
      this.#length += some.length;
      done += some.length;
    }
  }

  /** Writes what is left and flushes the file to the disk. @throws as write(2) and fsync(2) */
  finish(): void {
    this.#flush();
    fsyncSync(this.#usual);
  }

  [Symbol.dispose](): void {
    if (this.#direct !== null) closeSync(this.#direct);
    closeSync(this.#usual);
  }

  #flush(): void {
    const bytes = this.#gathered.subarray(0, this.#length);
    const direct = this.#position % ALIGNMENT === 0 ? bytes.length - (bytes.length % ALIGNMENT) : 0;
    const done = this.#writeDirectly(bytes.subarray(0, direct));
    writeWhole(this.#usual, bytes.subarray(done), this.#position + done);
    this.#length = 0;
  }

  /** @returns the number of bytes that were written; 0 if the filesystem does not support direct I/O. */
  #writeDirectly(bytes: Buffer): number {
    if (this.#direct === null || bytes.length === 0) return 0;
    try {
      writeWhole(this.#direct, bytes, this.#position);
      return bytes.length;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      closeSync(this.#direct);
      this.#direct = null;
      return 0;
    }
  }
}

/** @returns `null` if the filesystem does not support direct I/O. */
function openDirect(path: string): number | null {
  try {
    return openSync(path, constants.O_RDWR | constants.O_DIRECT);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    return null;
  }
}
