/** An image stream written where it is wanted, and held against the hashes of its blocks on the way. */
import { readSync } from 'node:fs';
import type { BlockTable } from '../archive/block-table.ts';
import type { ByteStream } from '../archive/byte-stream.ts';
import type { BlockRun } from '../lib/bytes/block-run.ts';
import { DirectWriter } from '../lib/bytes/direct-writer.ts';
import { DifferenceList } from './difference.ts';
import { LONGER, takeBlocks } from './image-with-blocks.ts';
import type { ImageFindings } from './image-with-device.ts';

export interface ImageTarget {
  /** A file or a block device, which must be there. */
  path: string;
  /** Whether it reads as zero wherever nothing was written; else that is looked at. */
  isBlank: boolean;
  /** `null` where the archive has no index. */
  table: BlockTable | null;
  /** What the stream has, and what it leaves out; `null`: it is the whole image. */
  runs: readonly BlockRun[] | null;
}

const DEFAULT_BLOCK = 512 * 1024;

const EVERYTHING: readonly BlockRun[] = [{ from: 0, to: Number.POSITIVE_INFINITY, isFetched: true }];

/**
 * Nothing is written from the first difference on. Zeros are written only where something else is: files stay sparse,
 * and blocks that a volume never had stay so.
 */
export function writeImageStream(stream: ByteStream, { path, isBlank, table, runs }: ImageTarget): ImageFindings {
  const blockBytes = table?.blockBytes ?? DEFAULT_BLOCK;
  using target = new DirectWriter(path);
  const writer = new SparseWriter(target, blockBytes, isBlank);
  const found: ImageFindings = { differences: new DifferenceList(), contentBytes: 0 };
  for (const run of runs ?? EVERYTHING) {
    if (!run.isFetched) writer.zeros(run.from * blockBytes, Math.min(run.to * blockBytes, table?.bytes ?? 0));
    else {
      const { differences, contentBytes } = takeBlocks(stream, table, { blockBytes, ...run }, (bytes, position) =>
        writer.block(bytes, position),
      );
      found.contentBytes += contentBytes;
      found.differences = differences;
    }
    if (found.differences.count > 0) return found;
  }
  if (stream.some(1).length > 0) found.differences.add(LONGER.kind, '', LONGER.detail());
  target.finish();
  return found;
}

class SparseWriter {
  readonly #target: DirectWriter;
  readonly #isBlank: boolean;
  readonly #zeros: Buffer;
  readonly #there: Buffer;

  constructor(target: DirectWriter, blockBytes: number, isBlank: boolean) {
    this.#target = target;
    this.#isBlank = isBlank;
    this.#zeros = Buffer.alloc(blockBytes);
    this.#there = Buffer.allocUnsafeSlow(blockBytes);
  }

  block(bytes: Buffer, position: number): void {
    const zeros = this.#zeros.subarray(0, bytes.length);
    if (!bytes.equals(zeros) || !this.#isZero(zeros, position)) this.#target.write(bytes, position);
  }

  zeros(from: number, to: number): void {
    if (this.#isBlank) return;
    for (let at = from; at < to; at += this.#zeros.length)
      this.block(this.#zeros.subarray(0, Math.min(this.#zeros.length, to - at)), at);
  }

  /** Behind the end of a file there will be zeros. */
  #isZero(zeros: Buffer, position: number): boolean {
    if (this.#isBlank) return true;
    const count = readSync(this.#target.descriptor, this.#there, 0, zeros.length, position);
    const isRead = count === zeros.length || count === 0;
    return isRead && this.#there.subarray(0, count).equals(zeros.subarray(0, count));
  }
}
