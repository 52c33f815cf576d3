/** The thread that indexes the stream. */
import { writeFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { BlockIndexWriter } from '../archive/block-index.ts';
import { ByteStream } from '../archive/byte-stream.ts';
import { encodeHeader } from '../archive/file-index.ts';
import { asError } from '../errors.ts';
import { type RingMemory, RingReader } from '../lib/bytes/shared-ring.ts';
import { IMAGE_BLOCK_BYTES, indexImage } from './index-image.ts';
import { indexTar, type TarTotals } from './index-tar.ts';
import type { IndexedContent, IndexingOrder } from './indexing-order.ts';
import { LineFile } from './line-file.ts';

export interface IndexingThreadOrder {
  ring: RingMemory;
  order: IndexingOrder;
}

async function index({ ring, order }: IndexingThreadOrder): Promise<IndexedContent> {
  const reader = new RingReader(ring);
  let plainBytes = 0;
  const next = () => {
    const bytes = reader.next();
    plainBytes += bytes.length;
    return bytes;
  };
  const stream = new ByteStream(next);
  let totals: TarTotals = { members: 0, contentBytes: 0, unsupported: null };
  let problem: string | null = null;
  try {
    if (order.layout === 'tar') totals = indexMembers(stream, order);
    else await indexBlocks(stream, order);
  } catch (error) {
    problem = asError(error).message;
  }
  // The rest of a stream that cannot be parsed is read as well, because the main thread waits for room in the ring.
  while (next().length > 0);
  return { ...totals, plainBytes, problem };
}

function indexMembers(stream: ByteStream, { linesFile, snapshot, partition }: IndexingOrder): TarTotals {
  using lines = new LineFile(linesFile);
  lines.add(encodeHeader({ snapshot, partition }));
  const totals = indexTar(stream, (line) => lines.add(line));
  lines.finish();
  return totals;
}

async function indexBlocks(stream: ByteStream, { linesFile, snapshot, bytes }: IndexingOrder): Promise<void> {
  const index = new BlockIndexWriter({ snapshot, bytes, blockBytes: IMAGE_BLOCK_BYTES });
  indexImage(stream, index);
  writeFileSync(linesFile, await index.finish(), { mode: 0o600 });
}

parentPort?.postMessage(await index(workerData as IndexingThreadOrder));
