/**
 * Writes the index of an image: one JSON line per run of blocks and per piece, compressed with zstd.
 *
 * A block is `absent` if it was never written, `zero` if zeros were written to it, and otherwise `data` with its
 * SHA-256. Blocks that an earlier run has stored and this run did not read are `stored`.
 */
import { once } from 'node:events';
import { createZstdCompress } from 'node:zlib';
import { type ArchiveName, type Cipher, keyStem } from './key.ts';

/** Increased when a reader of the old format would misinterpret the new one. */
export const INDEX_FORMAT = 1;

/**
 * Maximum number of blocks with checksums, 4 TiB of data. Checksums do not compress, and the index is held in memory.
 */
const MAX_CHECKSUMS = 8 * 2 ** 20;

const LINES_PER_BATCH = 1000;

export const indexKey = (name: ArchiveName, partition: number | null, cipher: Cipher): string =>
  `${keyStem(name)}${partition === null ? '' : `.${partition}`}.index.zst${cipher === 'gpg' ? '.gpg' : ''}`;

export interface IndexedImage {
  snapshot: string;
  /** Size of the disk in bytes. */
  bytes: number;
  blockBytes: number;
}

type Kind = 'absent' | 'zero' | 'data' | 'stored';

export class BlockIndexWriter {
  readonly #blocks: number;
  readonly #stream = createZstdCompress();
  readonly #chunks: Buffer[] = [];
  /** Lines that wait for the compressor. Few large writes are faster. */
  readonly #lines: string[] = [];
  /** Index after the last block that was added. */
  #end = 0;
  #checksums = 0;
  #run: { from: number; to: number; is: Kind } | null = null;

  constructor(image: IndexedImage) {
    this.#blocks = Math.ceil(image.bytes / image.blockBytes);
    this.#stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.#line({ format: INDEX_FORMAT, ...image });
  }

  /** Records that the object already has the blocks before `end`. */
  stored(end: number): void {
    this.#extend('stored', end);
  }

  /**
   * Adds a block. Blocks must be in ascending order; skipped ones are absent.
   * @param sha256 in Base64; `null` if the block is all zeros.
   */
  block(index: number, sha256: string | null): void {
    this.#extend('absent', index);
    if (sha256 === null) this.#extend('zero', index + 1);
    else if (this.#checksums === MAX_CHECKSUMS) this.#extend('data', index + 1);
    else this.#data(index, sha256);
  }

  /** Adds the start of a piece: its positions in the plain stream and in the object, in bytes. */
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
    this.#end = index + 1;
    this.#line({ blocks: [index, index + 1], is: 'data', sha256 });
  }

  #extend(is: Kind, end: number): void {
    if (end <= this.#end) return;
    if (this.#run?.is !== is) this.#flush();
    this.#run = { from: this.#run?.from ?? this.#end, to: end, is };
    this.#end = end;
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
