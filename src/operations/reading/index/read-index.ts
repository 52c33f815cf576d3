/** Reads an index of files line by line, because it may be larger than memory. */
import { closeSync, createReadStream, openSync } from 'node:fs';
import { join } from 'node:path';
import { damagedIndex, decodeIndexLine, type IndexLine } from '../../../archive/file-index.ts';
import { IndexOrder } from '../../../archive/index-order.ts';
import { DamagedFrames, decompressFrames } from '../../../archive/zstd-frames.ts';
import { asError, SnapError } from '../../../errors.ts';
import { temporaryDirectory } from '../../../lib/temporary-files.ts';
import { formatBytes } from '../../../lib/units.ts';
import { downloadInto } from '../../../transfer/download.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll } from '../../../transfer/pipes.ts';
import { type DecryptStage, decryptStage } from '../archive-stages.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { ReadContext } from '../read-context.ts';
import { type FoundIndex, fetchIndex, findIndex } from './fetch-index.ts';

/** Maximum bytes of a line. Names have at most 4,096 bytes, and JSON escapes take up to six times as many. */
const MAX_LINE = 1024 * 1024;

type Content = Exclude<IndexLine, { is: 'header' | 'end' }>;

/**
 * Yields all lines but the first and the last, which are compared with the facts about the object. It yields nothing from
 * an index that was damaged in transit.
 * @throws SnapError as `fetchFileIndex` does; `DIFFERS`, also if it is not the index that the manifest names; `GPG_KEY`
 */
export async function* readFileIndex(
  object: ArchivedObject,
  snapshotId: string,
  services: ReadContext,
): AsyncGenerator<Content> {
  await using directory = temporaryDirectory();
  const index = await fetchFileIndex(object, snapshotId, join(directory.path, 'index'), services);
  // The caller reads only the index, so the object cannot confirm what another index says.
  if (!index.isOfManifest) throw damagedIndex(index.key, 'it is not the index that the manifest names');
  yield* index.read();
}

/** An index that is fetched once and can be read several times. */
export interface FetchedIndex extends FoundIndex {
  /** Yields the lines like `readFileIndex`. */
  read: () => AsyncGenerator<Content>;
}

/**
 * Fetches the index, and once more if it was damaged in transit.
 * @param file is created with the stored bytes of the index.
 * @throws SnapError `DIFFERS`, `OUTPUT`, and the errors of a download.
 */
export async function fetchFileIndex(
  object: ArchivedObject,
  snapshotId: string,
  file: string,
  services: ReadContext,
): Promise<FetchedIndex> {
  const found = await findIndex(object, services);
  // Nothing is read before its CRC-32 has been compared, if it is known.
  const isIntact = found.isOfManifest && found.crc32 !== null;
  const read = () => readContent(object, snapshotId, { file, isIntact }, services);
  await fetchIndex(found, snapshotId, services, async () => {
    const crc32 = await download(file, found, services);
    if (found.crc32 === null) await readToEnd(read());
    return crc32;
  });
  return { ...found, read };
}

/** @returns the CRC-32 of the bytes. */
async function download(file: string, { key, etag, bytes }: FoundIndex, services: ReadContext): Promise<number> {
  const { store } = services;
  const options = { ...services, bucket: store.bucket, onBytes: () => {} };
  const descriptor = openSync(file, 'w', 0o600);
  try {
    const extents = [{ from: 0, to: bytes }];
    const { crc32 } = await downloadInto(descriptor, store.reader(key, etag), extents, options);
    return crc32;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall !== 'write') throw cause;
    throw new SnapError('OUTPUT', `the index ${key} cannot be kept in a temporary file: ${asError(cause).message}`, {
      hint: `set TMPDIR to a directory with ${formatBytes(bytes)} of free space`,
      cause,
    });
  } finally {
    closeSync(descriptor);
  }
}

/** Decodes and checks all lines, and discards them. */
async function readToEnd(lines: AsyncIterable<Content>): Promise<void> {
  for await (const _line of lines);
}

/** The stored bytes of an index. */
interface StoredIndex {
  file: string;
  /** Whether the file certainly has the stored bytes. */
  isIntact: boolean;
}

async function* readContent(
  object: ArchivedObject,
  snapshotId: string,
  stored: StoredIndex,
  services: ReadContext,
): AsyncGenerator<Content> {
  const key = object.facts?.index?.key ?? '';
  const plainBytes = object.facts?.plainBytes ?? null;
  const order = new IndexOrder(key, { snapshot: snapshotId, partition: object.partition, plainBytes });
  for await (const text of indexLines(object, key, stored, services)) {
    services.signal.throwIfAborted();
    const line = decodeIndexLine(text, key);
    order.take(line);
    if (line.is === 'member' || line.is === 'piece') yield line;
  }
  order.finish();
}

/** Decrypts and decompresses an index. A session key is not used, because it opens only the data object. */
async function* indexLines(
  object: ArchivedObject,
  key: string,
  { file, isIntact }: StoredIndex,
  services: ReadContext,
): AsyncGenerator<string> {
  const stopped = new AbortController();
  const signal = AbortSignal.any([services.signal, stopped.signal]);
  using decrypt = await decryptStage(object, null);
  await using frames = await openFrames(file, decrypt, signal);
  const undecodable = (cause: unknown) => damagedIndex(key, 'it cannot be decoded', cause);
  const judge = (error: unknown): never => {
    const { cause, ifIntact } = decrypt.judge(error, true);
    throw (isIntact ? ifIntact : null) ?? undecodable(cause);
  };
  try {
    yield* splitLines(decompressFrames(frames.bytes), key);
    await frames.finished.catch(judge);
  } catch (error) {
    if (!(error instanceof DamagedFrames)) throw error;
    // Without the key, there are no frames.
    await frames.finished.catch(judge);
    throw undecodable(error);
  } finally {
    stopped.abort(new Error('the index is no longer needed'));
    await Promise.allSettled([frames.finished]);
  }
}

/** The frames of an index. */
interface Frames extends AsyncDisposable {
  bytes: AsyncIterable<Buffer>;
  /** Resolves if these are all bytes. */
  finished: Promise<unknown>;
}

async function openFrames(file: string, { stages }: DecryptStage, signal: AbortSignal): Promise<Frames> {
  if (stages.length === 0)
    return { bytes: createReadStream(file), finished: Promise.resolve(), [Symbol.asyncDispose]: async () => {} };
  const input = openSync(file, 'r');
  const pipeline = await startPipeline(stages, { signal, input }).finally(() => closeAll([input]));
  return {
    bytes: createReadStream('', { fd: pipeline.output }),
    finished: pipeline.finished,
    [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose](),
  };
}

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
    if (rest.length > MAX_LINE) throw damagedIndex(key, 'a line does not end');
  }
  if (rest.length > 0) throw damagedIndex(key, 'it is truncated');
}
