/**
 * What is where in an image: a line of JSON for each run of blocks and for each piece, compressed by zstd.
 *
 * A block is `absent` when it was never written, `zero` when zeros were written to it, and `data` with its SHA-256
 * otherwise. Blocks that an earlier run has stored, and that were not read again, are `stored`.
 */
import { once } from 'node:events';
import { createZstdCompress } from 'node:zlib';
import { type ArchiveName, type Cipher, keyStem } from './key.ts';

/** Raised when a reader of the old format would misunderstand the new one. */
export const INDEX_FORMAT = 1;

/** Checksums are kept of so many blocks, 4 TiB of data: they do not compress, and the index is held in memory. */
const MAX_CHECKSUMS = 8 * 2 ** 20;

const LINES_PER_BATCH = 1000;

export const indexKey = (name: ArchiveName, partition: number | null, cipher: Cipher): string =>
  `${keyStem(name)}${partition === null ? '' : `.${partition}`}.index.zst${cipher === 'gpg' ? '.gpg' : ''}`;

export interface IndexedImage {
  snapshot: string;
  /** Length of the disk in bytes. */
  bytes: number;
  blockBytes: number;
}

type Kind = 'absent' | 'zero' | 'data' | 'stored';

export class BlockIndexWriter {
  readonly #blocks: number;
  readonly #stream = createZstdCompress();
  readonly #chunks: Buffer[] = [];
  /** Not yet given to the compressor, which likes to be called seldom. */
  readonly #lines: string[] = [];
  /** Blocks before it are told. */
  #told = 0;
  #checksums = 0;
  #run: { from: number; to: number; is: Kind } | null = null;

  constructor(image: IndexedImage) {
    this.#blocks = Math.ceil(image.bytes / image.blockBytes);
    this.#stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.#line({ format: INDEX_FORMAT, ...image });
  }

  /** Blocks before `end` are in the object already. */
  stored(end: number): void {
    this.#extend('stored', end);
  }

  /** Blocks come in ascending order; those that never come are absent. @param sha256 in Base64; `null`: all zeros. */
  block(index: number, sha256: string | null): void {
    this.#extend('absent', index);
    if (sha256 === null) this.#extend('zero', index + 1);
    else if (this.#checksums === MAX_CHECKSUMS) this.#extend('data', index + 1);
    else this.#data(index, sha256);
  }

  /** A piece begins: places in the plain stream and in the object, in bytes. */
  piece(plain: number, stored: number): void {
    this.#flush();
    this.#line({ piece: { plain, stored } });
  }

  async finish(): Promise<Buffer> {
    this.#extend('absent', this.#blocks);
    this.#flush();
    this.#compress();
    this.#stream.end();
    await once(this.#stream, 'end');
    return Buffer.concat(this.#chunks);
  }

  #data(index: number, sha256: string): void {
    this.#flush();
    this.#checksums++;
    this.#told = index + 1;
    this.#line({ blocks: [index, index + 1], is: 'data', sha256 });
  }

  #extend(is: Kind, end: number): void {
    if (end <= this.#told) return;
    if (this.#run?.is !== is) this.#flush();
    this.#run = { from: this.#run?.from ?? this.#told, to: end, is };
    this.#told = end;
  }

  #flush(): void {
    if (this.#run) this.#line({ blocks: [this.#run.from, this.#run.to], is: this.#run.is });
    this.#run = null;
  }

  #line(content: object): void {
    this.#lines.push(JSON.stringify(content));
    if (this.#lines.length === LINES_PER_BATCH) this.#compress();
  }

  #compress(): void {
    this.#stream.write(this.#lines.map((line) => `${line}\n`).join(''));
    this.#lines.length = 0;
  }
}
