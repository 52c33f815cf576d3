/** The thread that compares: it takes the plain stream and reads the disk synchronously, and answers once. */
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { type BlockTable, isEachBlockKnown } from '../archive/block-table.ts';
import { ByteStream } from '../archive/byte-stream.ts';
import { type RingMemory, RingReader } from '../lib/bytes/shared-ring.ts';
import { cutOut } from './cut-stream.ts';
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
  /** Without a disk: is it a tar, and what does it hash to? */
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
  /** SHA-256 of the plain stream, in base 16; empty where the hash of each file or block was compared instead. */
  plainSha256: string;
  /** Where files were made. */
  leftOut?: LeftOut;
  missing?: string[];
}

export interface ComparingOrder {
  source: Source;
  order: ComparisonOrder;
  /** One number: files that have been compared so far. */
  compared: SharedArrayBuffer;
}

/** Plain bytes as another thread reads them, or blocks of lz4 of which this one decodes some. */
export type Source = { plain: RingMemory } | { lz4: BlockRingMemory; withChecksum: boolean };

export interface Compared {
  comparison: StreamFindings;
  /** Why a stream of lz4 could not be taken to its end. */
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

/** Where each file, or each block, is held against its own hash, another one of everything tells nothing new. */
function isKnownInParts(order: ComparisonOrder): boolean {
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
  const hash = isKnownInParts(order) ? null : createHash('sha256');
  const next = () => {
    const bytes = reader.next();
    hash?.update(bytes);
    return bytes;
  };
  const stream = new ByteStream(cuts ? cutOut(next, cuts) : next);
  const { list, ...counts } = findingsOf(comparing, stream);
  // To the end, whatever was found: a decompressor that cannot write ends with an error of its own.
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
