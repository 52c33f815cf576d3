/** The thread that consumes the plain stream. It compares and writes synchronously and posts its findings once. */
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { type BlockTable, isEachBlockKnown } from '../archive/block-table.ts';
import { ByteStream } from '../archive/byte-stream.ts';
import { type RingMemory, RingReader } from '../lib/bytes/shared-ring.ts';
import { type Difference, DifferenceList } from './difference.ts';
import { type ImageTarget, writeImageStream } from './image-to-file.ts';
import { compareImageWithBlocks } from './image-with-blocks.ts';
import { compareImageWithDevice } from './image-with-device.ts';
import { BlockRing, type BlockRingMemory } from './lz4/block-ring.ts';
import { BlockTaker } from './lz4/block-taker.ts';
import { selectParts } from './tar/cut-stream.ts';
import { readTarAlone, type TarAlone } from './tar/tar-alone.ts';
import { type FilesTarget, type LeftOut, writeFiles } from './tar/tar-to-files.ts';
import { compareTarWithDisk, type TarComparisonOptions } from './tar/tar-with-disk.ts';

/** What consumes the plain stream. */
export type SinkOrder =
  | ({ kind: 'tree' } & Omit<TarComparisonOptions, 'key' | 'compared'> & { key: Uint8Array })
  | { kind: 'device'; device: string }
  | { kind: 'blocks'; table: BlockTable }
  | ({ kind: 'image' } & ImageTarget)
  | ({ kind: 'files' } & FilesTarget)
  /** There is no disk: checks whether the stream is a valid tar, and hashes it. */
  | ({ kind: 'members' } & TarAlone)
  | { kind: 'bytes' };

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
  /** They are set only if files were restored. */
  leftOut?: LeftOut;
  missing?: string[];
}

export interface SinkThreadOrder {
  source: StreamSource;
  order: SinkOrder;
  /** A counter of the files compared so far. */
  compared: SharedArrayBuffer;
  /** The bytes of the device that another thread reads ahead; only for the order `device`. */
  disk: RingMemory | null;
}

/** Plain bytes that another thread reads, or lz4 blocks that this thread helps to decode. */
export type StreamSource =
  | { kind: 'plain'; ring: RingMemory }
  | { kind: 'lz4'; ring: BlockRingMemory; withChecksum: boolean };

export interface SinkAnswer {
  findings: StreamFindings;
  /** Why an lz4 stream could not be decoded to its end; `null` if it could. */
  problem: string | null;
}

type Findings = Partial<StreamFindings> & { list: DifferenceList };

function findingsOf({ order, compared, disk }: SinkThreadOrder, stream: ByteStream): Findings {
  switch (order.kind) {
    case 'tree': {
      const { differences: list, ...counts } = compareTarWithDisk(stream, {
        ...order,
        key: Buffer.from(order.key),
        compared,
      });
      return { list, ...counts };
    }
    case 'device': {
      if (disk === null) throw new Error('nobody reads the device');
      const reader = new RingReader(disk);
      const device = new ByteStream(() => reader.next());
      const { differences: list, contentBytes } = compareImageWithDevice(stream, device);
      return { list, contentBytes };
    }
    case 'blocks': {
      const { differences: list, contentBytes } = compareImageWithBlocks(stream, order.table);
      return { list, contentBytes };
    }
    case 'image': {
      const { differences: list, contentBytes } = writeImageStream(stream, order);
      return { list, contentBytes };
    }
    case 'files': {
      const { differences: list, ...counts } = writeFiles(stream, order);
      return { list, ...counts };
    }
    case 'members': {
      const { differences: list, ...counts } = readTarAlone(stream, order);
      return { list, ...counts };
    }
    case 'bytes':
      return { list: new DifferenceList() };
  }
}

/** Whether each file or block is compared with its own hash, so that a hash of the whole stream is redundant. */
function hasPartHashes(order: SinkOrder): boolean {
  if (order.kind === 'files') return order.records !== null;
  return order.kind === 'image' && order.table !== null && isEachBlockKnown(order.table);
}

function run(work: SinkThreadOrder): SinkAnswer {
  const { source } = work;
  if (source.kind === 'plain') return { findings: consume(work, new RingReader(source.ring)), problem: null };
  const taker = new BlockTaker(new BlockRing(source.ring), source.withChecksum);
  const findings = consume(work, taker);
  return { findings, problem: taker.problem };
}

function consume(work: SinkThreadOrder, reader: { next(): Buffer }): StreamFindings {
  const { order } = work;
  const cuts = order.kind === 'files' ? order.cuts : null;
  const hash = hasPartHashes(order) ? null : createHash('sha256');
  const next = () => {
    const bytes = reader.next();
    hash?.update(bytes);
    return bytes;
  };
  const stream = new ByteStream(cuts ? selectParts(next, cuts) : next);
  const { list, ...counts } = findingsOf(work, stream);
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

parentPort?.postMessage(run(workerData as SinkThreadOrder));
