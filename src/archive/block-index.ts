/**
 * Writes the index of an image: one JSON line per run of blocks and per piece, compressed with zstd.
 *
 * A block is `absent` if it was never written, `zero` if zeros were written to it, and otherwise `data` with its
 * SHA-256. Blocks that an earlier run has stored and this run did not read are `stored`.
 */
import { JsonLinesWriter } from './json-lines.ts';
import { type ArchiveName, type Cipher, keyStem } from './key.ts';

/** Increased when a reader of the old format would misinterpret the new one. */
export const INDEX_FORMAT = 1;

/**
 * Maximum number of blocks with checksums, 4 TiB of data. Checksums do not compress, and the index is held in memory.
 */
const MAX_CHECKSUMS = 8 * 2 ** 20;

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
  readonly #lines = new JsonLinesWriter();
  /** Index after the last block that was added. */
  #end = 0;
  #checksums = 0;
  #run: { from: number; to: number; is: Kind } | null = null;

  constructor(image: IndexedImage) {
    this.#blocks = Math.ceil(image.bytes / image.blockBytes);
    this.#lines.add({ format: INDEX_FORMAT, ...image });
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
    this.#lines.add({ piece: { plain, stored } });
  }

  finish(): Promise<Buffer> {
    this.#extend('absent', this.#blocks);
    this.#flush();
    return this.#lines.finish();
  }

  #data(index: number, sha256: string): void {
    this.#flush();
    this.#checksums++;
    this.#end = index + 1;
    this.#lines.add({ blocks: [index, index + 1], is: 'data', sha256 });
  }

  #extend(is: Kind, end: number): void {
    if (end <= this.#end) return;
    if (this.#run?.is !== is) this.#flush();
    this.#run = { from: this.#run?.from ?? this.#end, to: end, is };
    this.#end = end;
  }

  #flush(): void {
    if (this.#run) this.#lines.add({ blocks: [this.#run.from, this.#run.to], is: this.#run.is });
    this.#run = null;
  }
}
