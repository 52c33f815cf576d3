/** The comparing thread. It reads the plain stream and the disk synchronously and posts its findings once. */
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { type BlockTable, isEachBlockKnown } from '../archive/block-table.ts';
import { ByteStream } from '../archive/byte-stream.ts';
import { type RingMemory, RingReader } from '../lib/bytes/shared-ring.ts';
import { selectParts } from './cut-stream.ts';
import { type Difference, DifferenceList } from './difference.ts';
import { type ImageTarget, writeImageStream } from './image-to-file.ts';
import { compareImageWithBlocks } from './image-with-blocks.ts';
import { compareImageWithDevice } from './image-with-device.ts';
import { BlockRing, type BlockRingMemory } from './lz4/block-ring.ts';
import { BlockTaker } from './lz4/block-taker.ts';
import { readTarAlone, type TarAlone } from './tar-alone.ts';
import { type FilesTarget, type LeftOut, writeFiles } from './tar-to-files.ts';
import { compareTarWithDisk, type TarComparisonOptions } from './tar-with-disk.ts';

export type ComparisonOrder =
  | ({ how: 'tar' } & Omit<TarComparisonOptions, 'key' | 'compared'> & { key: Uint8Array })
  | { how: 'image'; device: string }
  | { how: 'blocks'; table: BlockTable }
  | ({ how: 'write' } & ImageTarget)
  | ({ how: 'extract' } & FilesTarget)
  /** Without a disk: checks whether the stream is a valid tar, and hashes it. */
  | ({ how: 'tar-alone' } & TarAlone)
  | { how: 'bytes-alone' };

export interface StreamFindings {
  differences: Difference[];
  differenceCount: number;
  members: number;
  files: number;
  contentBytes: number;
  xattrSum: string;
  plainBytes: number;
  /** SHA-256 of the plain stream in hexadecimal; empty if the hash of each file or block was compared instead. */
  plainSha256: string;
  /** Only if files were restored. */
  leftOut?: LeftOut;
  missing?: string[];
}

export interface ComparingOrder {
  source: Source;
  order: ComparisonOrder;
  /** A counter of the files compared so far. */
  compared: SharedArrayBuffer;
}

/** Plain bytes that another thread reads, or lz4 blocks that this thread helps to decode. */
export type Source = { plain: RingMemory } | { lz4: BlockRingMemory; withChecksum: boolean };

export interface Compared {
  comparison: StreamFindings;
  /** Why an lz4 stream could not be decoded to its end; `null` if it could. */
  problem: string | null;
}

type Findings = Partial<StreamFindings> & { list: DifferenceList };

function findingsOf({ order, compared }: ComparingOrder, stream: ByteStream): Findings {
  switch (order.how) {
    case 'tar': {
      const { differences: list, ...counts } = compareTarWithDisk(stream, {
        ...order,
        key: Buffer.from(order.key),
        compared,
      });
      return { list, ...counts };
    }
    case 'image': {
      const { differences: list, contentBytes } = compareImageWithDevice(stream, order.device);
      return { list, contentBytes };
    }
    case 'blocks': {
      const { differences: list, contentBytes } = compareImageWithBlocks(stream, order.table);
      return { list, contentBytes };
    }
    case 'write': {
      const { differences: list, contentBytes } = writeImageStream(stream, order);
      return { list, contentBytes };
    }
    case 'extract': {
      const { differences: list, ...counts } = writeFiles(stream, order);
      return { list, ...counts };
    }
    case 'tar-alone': {
      const { differences: list, ...counts } = readTarAlone(stream, order);
      return { list, ...counts };
    }
    case 'bytes-alone':
      return { list: new DifferenceList() };
  }
}

/** Whether each file or block is compared with its own hash, so that a hash of the whole stream is redundant. */
function hasPartHashes(order: ComparisonOrder): boolean {
  if (order.how === 'extract') return order.records !== null;
  return order.how === 'write' && order.table !== null && isEachBlockKnown(order.table);
}

function run(comparing: ComparingOrder): Compared {
  const { source } = comparing;
  if ('plain' in source) return { comparison: compare(comparing, new RingReader(source.plain)), problem: null };
  const taker = new BlockTaker(new BlockRing(source.lz4), source.withChecksum);
  const comparison = compare(comparing, taker);
  return { comparison, problem: taker.problem };
}

function compare(comparing: ComparingOrder, reader: { next(): Buffer }): StreamFindings {
  const { order } = comparing;
  const cuts = order.how === 'extract' ? order.cuts : null;
  const hash = hasPartHashes(order) ? null : createHash('sha256');
  const next = () => {
    const bytes = reader.next();
    hash?.update(bytes);
    return bytes;
  };
  const stream = new ByteStream(cuts ? selectParts(next, cuts) : next);
  const { list, ...counts } = findingsOf(comparing, stream);
  // The stream is always read to its end, because a decompressor whose reader stops ends with an error.
  stream.skip(Number.POSITIVE_INFINITY);
  return {
    members: 0,
    files: 0,
    contentBytes: 0,
    xattrSum: '',
    ...counts,
    differences: list.kept,
    differenceCount: list.count,
    plainBytes: stream.position,
    plainSha256: hash?.digest('hex') ?? '',
  };
}

parentPort?.postMessage(run(workerData as ComparingOrder));
