/** Writes an image stream to a file or device and compares its blocks with their hashes. */
import { readSync } from 'node:fs';
import type { BlockTable } from '../archive/block-table.ts';
import type { ByteStream } from '../archive/byte-stream.ts';
import type { BlockRun } from '../lib/bytes/block-run.ts';
import { DirectWriter } from '../lib/bytes/direct-writer.ts';
import { DifferenceList } from './difference.ts';
import { LONGER, takeBlocks } from './image-with-blocks.ts';
import type { ImageFindings } from './image-with-device.ts';

export interface ImageTarget {
  /** An existing file or block device. */
  path: string;
  /** Whether unwritten places are known to read as zeros. Otherwise they are read first. */
  isBlank: boolean;
  /** `null` if the archive has no index. */
  table: BlockTable | null;
  /** The runs of blocks that the stream contains or omits; `null` if the stream contains the whole image. */
  runs: readonly BlockRun[] | null;
}

const DEFAULT_BLOCK = 512 * 1024;

const WHOLE_IMAGE: readonly BlockRun[] = [{ from: 0, to: Number.POSITIVE_INFINITY, isFetched: true }];

/**
 * Writes blocks up to the first difference. Zeros are written only over other data, so that files stay sparse and
 * unallocated blocks of volumes stay unallocated.
 * @throws as write(2) and fsync(2)
 */
export function writeImageStream(stream: ByteStream, { path, isBlank, table, runs }: ImageTarget): ImageFindings {
  const blockBytes = table?.blockBytes ?? DEFAULT_BLOCK;
  using target = new DirectWriter(path);
  const writer = new SparseWriter(target, blockBytes, isBlank);
  const found: ImageFindings = { differences: new DifferenceList(), contentBytes: 0 };
  for (const run of runs ?? WHOLE_IMAGE) {
    const end = Math.min(run.to * blockBytes, table?.bytes ?? 0);
    if (run.isDropped) stream.skip(end - run.from * blockBytes);
    else if (!run.isFetched) writer.zeros(run.from * blockBytes, end);
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
  readonly #existing: Buffer;

  constructor(target: DirectWriter, blockBytes: number, isBlank: boolean) {
    this.#target = target;
    this.#isBlank = isBlank;
    this.#zeros = Buffer.alloc(blockBytes);
    this.#existing = Buffer.allocUnsafeSlow(blockBytes);
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

  /** Places after the end of a file will read as zeros. */
  #isZero(zeros: Buffer, position: number): boolean {
    if (this.#isBlank) return true;
    const count = readSync(this.#target.descriptor, this.#existing, 0, zeros.length, position);
    const isRead = count === zeros.length || count === 0;
    return isRead && this.#existing.subarray(0, count).equals(zeros.subarray(0, count));
  }
}
