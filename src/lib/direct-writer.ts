/** Files and devices written past the memory that the kernel caches them in. */
import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { writeWhole } from './write-whole.ts';

/** What O_DIRECT asks of places, lengths and memory is at most a page. Source: open(2). */
const ALIGNMENT = 4096;

/** Large requests are what volumes are fast with. */
const GATHERED_BYTES = 4 * 1024 * 1024;

/**
 * Writes that follow one another are gathered. A copy in the kernel's cache would cost more processor time than all else
 * that is done to the bytes, push out what others need, and be waited for at the end anyway; two writers of one file would
 * wait for each other. What cannot be written so (the end of a file, filesystems in memory) is written as usual.
 */
export class DirectWriter implements Disposable {
  readonly #usual: number;
  #direct: number | null;
  /** Memory that can be resized begins on a page; other buffers begin anywhere. */
  readonly #gathered = Buffer.from(new ArrayBuffer(GATHERED_BYTES, { maxByteLength: GATHERED_BYTES }));
  #length = 0;
  #position = 0;

  /** @param path of what is there already. @throws as open(2) */
  constructor(path: string) {
    this.#usual = openSync(path, constants.O_RDWR);
    this.#direct = openDirect(path);
  }

  /** For reading. */
  get descriptor(): number {
    return this.#usual;
  }

  /** @throws as write(2), also for what was gathered before. */
  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      const isNext = this.#position + this.#length === position + done;
      if (!isNext || this.#length === GATHERED_BYTES) {
        this.#flush();
        this.#position = position + done;
      }
      const piece = bytes.subarray(done, done + GATHERED_BYTES - this.#length);
      this.#gathered.set(piece, this.#length);
      this.#length += piece.length;
      done += piece.length;
    }
  }

  /** Settles what was written on the disk. @throws as write(2) and fsync(2) */
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

  /** @returns how much is written. */
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

/** @returns `null` where the filesystem does not have it. */
function openDirect(path: string): number | null {
  try {
    return openSync(path, constants.O_RDWR | constants.O_DIRECT);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    return null;
  }
}
