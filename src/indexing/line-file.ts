/** Writes lines of text to a file as concatenated zstd frames, so that they take no memory. */
import { closeSync, openSync } from 'node:fs';
import { zstdCompressSync } from 'node:zlib';
import { writeWhole } from '../lib/bytes/write-whole.ts';

const CHUNK_BYTES = 256 * 1024;

export class LineFile implements Disposable {
  readonly #descriptor: number;
  #lines: string[] = [];
  #length = 0;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'w', 0o600);
  }

  /** @param line must end with a line feed. */
  add(line: string): void {
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length >= CHUNK_BYTES) this.#write();
  }

  /** Writes the remaining lines to the file. */
  finish(): void {
    if (this.#length > 0) this.#write();
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }

  #write(): void {
    const bytes = zstdCompressSync(this.#lines.join(''));
    writeWhole(this.#descriptor, bytes);
    this.#lines = [];
    this.#length = 0;
  }
}
