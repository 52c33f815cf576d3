/** An index of files, line by line: it can be longer than memory. */
import { closeSync, createReadStream, openSync } from 'node:fs';
import { damagedIndex, decodeIndexLine, type IndexLine } from '../../archive/file-index.ts';
import { IndexOrder } from '../../archive/index-order.ts';
import { SnapError } from '../../errors.ts';
import { downloadInto } from '../../transfer/download.ts';
import { startPipeline } from '../../transfer/pipeline.ts';
import { closeAll, makePipe } from '../../transfer/pipes.ts';
import { decryptStage } from './archive-stages.ts';
import type { ArchivedObject } from './find-archive.ts';
import type { ReadContext } from './read-context.ts';

/** A name has at most 4,096 bytes wherever it can be made, and escapes make six of one. */
const MAX_LINE = 1024 * 1024;

type Content = Exclude<IndexLine, { is: 'header' | 'end' }>;

/**
 * All lines but the first and the last, which are held against what is known of the object.
 * @throws SnapError `NOT_FOUND`, `MANIFEST`, `GPG_KEY`, and what a download throws.
 */
export async function* readFileIndex(
  object: ArchivedObject,
  snapshotId: string,
  services: ReadContext,
): AsyncGenerator<Content> {
  const head = await findFileIndex(object, services);
  yield* readContent(object, snapshotId, (signal) => openStored(head, { ...services, signal }), services);
}

export interface FoundIndex {
  key: string;
  etag: string;
  bytes: number;
  /** Whether it is the one that the manifest names. Of another, nothing is believed that is not found in the object. */
  isOfManifest: boolean;
}

/** @throws SnapError `NOT_FOUND` */
async function findFileIndex({ facts }: ArchivedObject, services: ReadContext): Promise<FoundIndex> {
  const key = facts?.index?.key ?? '';
  const head = await services.store.head(key, { signal: services.signal });
  if (!head) throw new SnapError('NOT_FOUND', `${key}: the index is not in the bucket`, { hint: WITHOUT });
  return { key, etag: head.etag, bytes: head.bytes, isOfManifest: head.etag === facts?.index?.etag };
}

/** An index that is read several times, and fetched once. */
export interface FetchedIndex extends FoundIndex {
  /** As `readFileIndex` does. */
  read: () => AsyncGenerator<Content>;
}

/**
 * @param file to be made, as the index is stored.
 * @throws SnapError `NOT_FOUND`, and what a download throws.
 */
export async function fetchFileIndex(
  object: ArchivedObject,
  snapshotId: string,
  file: string,
  services: ReadContext,
): Promise<FetchedIndex> {
  const found = await findFileIndex(object, services);
  const descriptor = openSync(file, 'w', 0o600);
  try {
    await download(descriptor, found, services);
  } finally {
    closeSync(descriptor);
  }
  const open = async () => ({ readEnd: openSync(file, 'r'), arrived: Promise.resolve() });
  return { ...found, read: () => readContent(object, snapshotId, open, services) };
}

const download = (descriptor: number, { key, etag, bytes }: FoundIndex, services: ReadContext) =>
  downloadInto(descriptor, services.store.reader(key, etag), [{ from: 0, to: bytes }], {
    ...services,
    bucket: services.store.bucket,
    onBytes: () => {},
  });

/** The bytes of an index as it is stored, and when all have come. */
interface StoredIndex {
  readEnd: number;
  arrived: Promise<void>;
}

async function openStored(found: FoundIndex, services: ReadContext): Promise<StoredIndex> {
  const { readEnd, writeEnd } = await makePipe();
  const arrived = download(writeEnd, found, services).finally(() => closeAll([writeEnd]));
  return { readEnd, arrived: arrived.then(() => {}) };
}

async function* readContent(
  object: ArchivedObject,
  snapshotId: string,
  open: (signal: AbortSignal) => Promise<StoredIndex>,
  services: ReadContext,
): AsyncGenerator<Content> {
  const key = object.facts?.index?.key ?? '';
  const plainBytes = object.facts?.plainBytes ?? null;
  const order = new IndexOrder(key, { snapshot: snapshotId, partition: object.partition, plainBytes });
  for await (const text of indexLines(object, key, open, services)) {
    const line = decodeIndexLine(text, key);
    order.take(line);
    if (line.is === 'member' || line.is === 'piece') yield line;
  }
  order.finish();
}

/** Decrypted (a session key is of another message) and decompressed; who stops early stops all of that. */
async function* indexLines(
  object: ArchivedObject,
  key: string,
  open: (signal: AbortSignal) => Promise<StoredIndex>,
  services: ReadContext,
): AsyncGenerator<string> {
  const stopped = new AbortController();
  const signal = AbortSignal.any([services.signal, stopped.signal]);
  using decrypt = await decryptStage(object, null);
  const stages = [...decrypt.stages, { name: 'zstd', argv: ['zstd', '-d', '-q', '-c', '-'] }];
  const { readEnd, arrived } = await open(signal);
  arrived.catch((error) => stopped.abort(error));
  await using pipeline = await startPipeline(stages, { signal, input: readEnd }).finally(() => closeAll([readEnd]));
  try {
    yield* splitLines(createReadStream('', { fd: pipeline.output }), key);
    await arrived;
    await pipeline.finished.catch((error) =>
      decrypt.explain(error, (cause) => damagedIndex(key, 'it cannot be decoded', cause)),
    );
  } finally {
    stopped.abort(new Error('the index is not needed any more'));
    await Promise.allSettled([arrived, pipeline.finished]);
  }
}

const WITHOUT = 'the data object may still be whole: --no-index reads all of it';

async function* splitLines(chunks: AsyncIterable<Buffer>, key: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      yield bytes.toString('utf8', start, end);
      start = end + 1;
    }
    rest = bytes.subarray(start);
    if (rest.length > MAX_LINE) throw damagedIndex(key, 'a line without an end');
  }
  if (rest.length > 0) throw damagedIndex(key, 'it is cut short');
}
