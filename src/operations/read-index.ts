/** An index of files, line by line: it can be longer than memory. */
import { createReadStream } from 'node:fs';
import { damagedIndex, decodeIndexLine, type IndexLine } from '../archive/file-index.ts';
import { IndexOrder } from '../archive/index-order.ts';
import { SnapError } from '../errors.ts';
import { downloadInto } from '../transfer/download.ts';
import { startPipeline } from '../transfer/pipeline.ts';
import { closeAll, makePipe } from '../transfer/pipes.ts';
import { decryptStage } from './archive-stages.ts';
import type { CheckServices } from './check-object.ts';
import type { ArchivedObject } from './find-archive.ts';

/** A name has at most 4,096 bytes wherever it can be made, and escapes make six of one. */
const MOST_LINE = 1024 * 1024;

/**
 * All lines but the first and the last, which are held against what is known of the object.
 * @throws SnapError `NOT_FOUND`, `MANIFEST`, `GPG_KEY`, and what a download throws.
 */
export async function* readFileIndex(
  object: ArchivedObject,
  snapshotId: string,
  services: CheckServices,
): AsyncGenerator<Content> {
  const key = object.facts?.index?.key ?? '';
  const plainBytes = object.facts?.plainBytes ?? null;
  const order = new IndexOrder(key, { snapshot: snapshotId, partition: object.partition, plainBytes });
  for await (const text of indexLines(object, key, services)) {
    const line = decodeIndexLine(text, key);
    order.take(line);
    if (line.is === 'member' || line.is === 'piece') yield line;
  }
  order.finish();
}

type Content = Exclude<IndexLine, { is: 'header' | 'end' }>;

/** Fetched, decrypted (a session key is of another message) and decompressed; who stops early stops all of that. */
async function* indexLines(object: ArchivedObject, key: string, services: CheckServices): AsyncGenerator<string> {
  const head = await services.store.head(key, { signal: services.signal });
  if (!head) throw new SnapError('NOT_FOUND', `${key}: the index is not in the bucket`, { hint: WITHOUT });
  const stopped = new AbortController();
  const signal = AbortSignal.any([services.signal, stopped.signal]);
  const source = await makePipe();
  using decrypt = await decryptStage(object, null);
  const stages = [...decrypt.stages, { name: 'zstd', argv: ['zstd', '-d', '-q', '-c', '-'] }];
  await using pipeline = await startPipeline(stages, { signal, input: source.readEnd }).finally(() =>
    closeAll([source.readEnd]),
  );
  const reader = services.store.reader(key, head.etag);
  const downloading = downloadInto(source.writeEnd, reader, [{ from: 0, to: head.bytes }], {
    ...services,
    signal,
    onBytes: () => {},
  });
  const closed = downloading.finally(() => closeAll([source.writeEnd]));
  closed.catch((error) => stopped.abort(error));
  try {
    yield* splitLines(createReadStream('', { fd: pipeline.output }), key);
    await closed;
    await pipeline.finished.catch((error) =>
      decrypt.explain(error, (cause) => damagedIndex(key, 'it cannot be decoded', cause)),
    );
  } finally {
    stopped.abort(new Error('the index is not needed any more'));
    await Promise.allSettled([closed, pipeline.finished]);
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
    if (rest.length > MOST_LINE) throw damagedIndex(key, 'a line without an end');
  }
  if (rest.length > 0) throw damagedIndex(key, 'it is cut short');
}
