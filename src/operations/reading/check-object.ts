/** One object of an archive, fetched, decoded and compared: with the disk it was made of, or with its own manifest. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { BlockTable } from '../../archive/block-table.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { readHeaderValue } from '../../archive/metadata.ts';
import type { ObjectHead } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { startExtentMapper } from '../../host/filesystems/extent-mapper.ts';
import type { NotKept } from '../../host/filesystems/not-kept-note.ts';
import { decodeCrc32 } from '../../lib/bytes/crc32.ts';
import { monotonic } from '../../lib/clock.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import type { ComparisonOrder, StreamFindings } from '../../streams/comparing-thread.ts';
import type { Difference, DifferenceKind } from '../../streams/difference.ts';
import type { ImageTarget } from '../../streams/image-to-file.ts';
import type { TarAlone } from '../../streams/tar-alone.ts';
import type { FilesTarget, LeftOut } from '../../streams/tar-to-files.ts';
import { type Downloaded, downloadInto, type Extent } from '../../transfer/download.ts';
import { closeAll, makePipe } from '../../transfer/pipes.ts';
import { compareXattrs } from './attributes/compare-xattrs.ts';
import { type Compare, type Decoder, decodeByPrograms, decodeInThreads, inThreads } from './decoders.ts';
import type { ArchivedObject } from './find-archive.ts';
import type { ReadContext } from './read-context.ts';
import { madeUpBy } from './volatile-entries.ts';

/** What an object is compared with. */
export type Reference =
  | { how: 'tar'; root: string; contentOnly: boolean; filesystem: string }
  | { how: 'image'; device: string }
  /** What the index says of its blocks. */
  | { how: 'blocks'; table: BlockTable }
  /** Written somewhere on the way. */
  | ({ how: 'write'; extents: readonly Extent[] | null } & ImageTarget)
  /** Made files of on the way. */
  | ({ how: 'extract'; extents: readonly Extent[] | null } & FilesTarget)
  /** Given to somebody who closes the descriptor. */
  | {
      how: 'stream';
      extents: readonly Extent[] | null;
      take: (descriptor: number, signal: AbortSignal) => Promise<TakenStream>;
    }
  /** Held against its own index at the most. */
  | ({ how: 'alone' } & TarAlone);

/** What is known of a plain stream that somebody else has taken. */
export interface TakenStream {
  plainBytes: number;
  /** In base 16. */
  plainSha256: string;
  differences: Difference[];
}

export interface ObjectCheck {
  key: string;
  differences: Difference[];
  /** Including those that are not listed. */
  differenceCount: number;
  members: number;
  files: number;
  contentBytes: number;
  plainBytes: number;
  /** Empty where the hash of each file was compared instead. */
  plainSha256: string;
  fetchedBytes: number;
  /** Whether the bytes that came are all that are stored, by their CRC-32; `false` also where it is not known. */
  isAsStored: boolean;
  seconds: number;
  leftOut: LeftOut;
  /** Paths that were asked for, and that the archive has not. */
  missing: string[];
  /** Of the filesystem that it was compared with: what no tar keeps. */
  notKept: NotKept[];
}

/**
 * What differs is read once more, unless the bytes that came are known to be the stored ones: a difference is one of the
 * archive then, not of the way to it. Blocks are written to their places again; files that were made, and bytes that
 * somebody else has taken, cannot be taken back.
 * @throws SnapError when it cannot be told, e.g. `OBJECT_ARCHIVED`, `GPG_KEY`, `DOWNLOAD_FAILED`.
 */
export async function checkObject(
  object: ArchivedObject,
  snapshotId: string,
  reference: Reference,
  services: ReadContext,
): Promise<ObjectCheck> {
  const first = await checkOnce(object, snapshotId, reference, services);
  const again = onceMore(reference);
  if (first.differenceCount === 0 || first.isAsStored || again === null) return first;
  services.host.notify({ code: 'object.reread', snapshot: snapshotId, key: object.key });
  return checkOnce(object, snapshotId, again, services);
}

/** @returns `null` where it can be done only once. */
function onceMore(reference: Reference): Reference | null {
  // What was written the first time is not zero any more.
  if (reference.how === 'write') return { ...reference, isBlank: false };
  return ONLY_COMPARED.has(reference.how) ? reference : null;
}

async function checkOnce(
  object: ArchivedObject,
  snapshotId: string,
  reference: Reference,
  services: ReadContext,
): Promise<ObjectCheck> {
  const started = monotonic();
  const head = await services.store.head(object.key, { signal: services.signal });
  const found = new Findings();
  if (!head) {
    found.add('not-in-archive', NOT_THERE);
    return { ...found.result(object.key, null, null, started), isAsStored: true };
  }
  checkHead(head, object, snapshotId, found);
  // The places of its parts are those of another object then.
  const part = partOf(reference);
  if (part && found.count > 0) return { ...found.result(object.key, head, null, started), isAsStored: true };
  const task: Task = { object, head, reference, found };
  const decoded = (await decodeHere(task, services)) ?? (await decode(task, byPrograms, services));
  if (!decoded) throw new SnapError('BUG', `nobody decodes ${object.key}`);
  if (part) checkPart(part, decoded, found);
  else checkFacts(object, head, decoded, found);
  return found.result(object.key, head, decoded, started);
}

const partOf = (reference: Reference): readonly Extent[] | null => ('extents' in reference ? reference.extents : null);

/** Bytes of the object. */
export const lengthOf = (extents: readonly Extent[]): number =>
  extents.reduce((sum, extent) => sum + (Buffer.isBuffer(extent) ? 0 : extent.to - extent.from), 0);

class Findings {
  readonly list: Difference[] = [];
  count = 0;

  add(kind: DifferenceKind, detail: string, path = ''): void {
    this.count++;
    this.list.push({ kind, path, detail });
  }

  result(key: string, head: ObjectHead | null, decoded: Decoded | null, started: number): ObjectCheck {
    const comparison = decoded?.comparison;
    return {
      key,
      fetchedBytes: decoded?.downloaded.bytes ?? 0,
      differences: [...this.list, ...(comparison?.differences ?? [])],
      differenceCount: this.count + (comparison?.differenceCount ?? 0),
      members: comparison?.members ?? 0,
      files: comparison?.files ?? 0,
      contentBytes: comparison?.contentBytes ?? 0,
      plainBytes: comparison?.plainBytes ?? 0,
      plainSha256: comparison?.plainSha256 ?? '',
      isAsStored: head !== null && decoded !== null && hasAllOf(head, decoded.downloaded),
      seconds: (monotonic() - started) / 1000,
      leftOut: comparison?.leftOut ?? { devices: 0, privileges: 0, times: 0 },
      missing: comparison?.missing ?? [],
      notKept: [],
    };
  }
}

function checkHead(head: ObjectHead, { facts }: ArchivedObject, snapshotId: string, found: Findings): void {
  const claimed = readHeaderValue(head.metadata['snapshot-snapshotid'] ?? snapshotId);
  if (claimed !== snapshotId) found.add('wrong-object', `its metadata says that it is of ${claimed}`);
  if (facts && facts.storedBytes !== head.bytes) {
    found.add('stored-bytes', `it has ${head.bytes} bytes, the manifest says ${facts.storedBytes}`);
  }
}

/** @throws SnapError `DIFFERS` for an object that is not the one of the archive, or is not there. */
export function assertHeadMatches(
  head: ObjectHead | null,
  object: ArchivedObject,
  snapshotId: string,
): asserts head is ObjectHead {
  const found = new Findings();
  if (head) checkHead(head, object, snapshotId, found);
  else found.add('not-in-archive', NOT_THERE);
  const [first] = found.list;
  if (!first) return;
  throw new SnapError('DIFFERS', `${object.key}: ${first.detail}`, {
    hint: 'the archive is damaged: look for another copy, or another version of the object',
  });
}

const NOT_THERE = 'the object is not in the bucket';

interface Decoded {
  downloaded: Downloaded;
  comparison: StreamFindings;
}

/** What is asked for, and where what is found goes. */
interface Task {
  object: ArchivedObject;
  head: ObjectHead;
  reference: Reference;
  found: Findings;
}

type OpenDecoder = (task: Task, order: Order, stored: number, services: ReadContext) => Promise<Decoder>;

const byThreads: OpenDecoder = async ({ object }, { thread }, stored, { signal }) =>
  decodeInThreads(stored, thread, Boolean(object.facts?.plainSha256), signal);

const byPrograms: OpenDecoder = async ({ object, reference }, { thread }, stored, services) => {
  const compare = inThreads(thread, services.signal);
  const take: Compare = (descriptor) =>
    reference.how === 'stream' ? takeStream(descriptor, reference, services.signal) : compare(descriptor);
  return decodeByPrograms(object, stored, take, services);
};

/** What is only looked at. What is restored goes through the programs that others would restore it with. */
const ONLY_COMPARED: ReadonlySet<Reference['how']> = new Set(['tar', 'image', 'blocks', 'alone']);

/** @returns `null` for what is not ours to decode. */
async function decodeHere(task: Task, services: ReadContext): Promise<Decoded | null> {
  const { codec, cipher } = task.object;
  const isOurs = codec === 'lz4' && cipher === 'none' && ONLY_COMPARED.has(task.reference.how);
  return isOurs ? decode(task, byThreads, services) : null;
}

/** @returns `null` when another decoder is to be asked, in which case nothing was found. */
async function decode(task: Task, open: OpenDecoder, services: ReadContext): Promise<Decoded | null> {
  const { object, head, reference, found } = task;
  await using directory = temporaryDirectory();
  const failed = new AbortController();
  const signal = AbortSignal.any([services.signal, failed.signal]);
  const order = orderOf(object, reference, directory.path);
  await using mapper = order.thread.how === 'tar' ? await startExtentMapper(signal) : null;
  if (order.thread.how === 'tar')
    order.thread.mapper = mapper && { questions: mapper.questions, answers: mapper.answers };
  const source = await makePipe();
  await using decoder = await open(task, order, source.readEnd, { ...services, signal }).catch((error) => {
    closeAll([source.writeEnd]);
    throw error;
  });
  const extents = partOf(reference) ?? [{ from: 0, to: head.bytes }];
  let shown = 0;
  using _task = services.host.track({
    label: object.key,
    expectedBytes: lengthOf(extents),
    read: () => shown,
    stored: () => shown,
  });
  const onBytes = (count: number) => {
    shown += count;
  };
  const xattrs = startXattrs(order, reference, signal);
  const downloading = download(source.writeEnd, head, extents, { ...services, signal, onBytes });
  const stopOnError = (error: unknown) => failed.abort(error);
  downloading.catch(stopOnError);
  decoder.finished.catch(stopOnError);
  const [fetched, decoded] = await Promise.allSettled([downloading, decoder.finished]);
  services.signal.throwIfAborted();
  if (fetched.status === 'rejected') throw fetched.reason;
  if (decoded.status === 'rejected') throw decoded.reason;
  const { comparison, problem, isForeign } = decoded.value;
  if (isForeign) {
    await xattrs?.finish(comparison, new Findings());
    return null;
  }
  if (problem !== null) found.add('damaged', `it cannot be decoded: ${problem}`);
  await xattrs?.finish(comparison, found);
  return { downloaded: fetched.value, comparison };
}

async function takeStream(
  descriptor: number,
  reference: Reference & { how: 'stream' },
  signal: AbortSignal,
): Promise<StreamFindings> {
  const found = await reference.take(descriptor, signal);
  const counts = { differenceCount: found.differences.length, contentBytes: found.plainBytes };
  return { members: 0, files: 0, xattrSum: '', ...counts, ...found };
}

async function download(
  descriptor: number,
  head: ObjectHead,
  extents: readonly Extent[],
  services: ReadContext & { onBytes: (count: number) => void },
): Promise<Downloaded> {
  try {
    const { store } = services;
    const options = { ...services, bucket: store.bucket };
    return await downloadInto(descriptor, store.reader(head.key, head.etag), extents, options);
  } finally {
    closeAll([descriptor]);
  }
}

interface Order {
  thread: ComparisonOrder;
  logFile: string;
  key: Buffer;
}

function orderOf(object: ArchivedObject, reference: Reference, directory: string): Order {
  const key = randomBytes(32);
  const logFile = join(directory, 'members');
  if (reference.how === 'alone' || reference.how === 'stream') {
    const records = reference.how === 'alone' ? reference.records : null;
    return { thread: object.layout === 'tar' ? { how: 'tar-alone', records } : { how: 'bytes-alone' }, logFile, key };
  }
  if (reference.how !== 'tar') return { thread: reference, logFile, key };
  const { root, contentOnly, filesystem } = reference;
  return {
    thread: { how: 'tar', root, contentOnly, ...madeUpBy(filesystem), key, logFile, mapper: null },
    logFile,
    key,
  };
}

/** What these keep has no place in a tar, or is shown only by their drivers. */
const WITHOUT_XATTRS = new Set(['vfat', 'ntfs']);

function startXattrs({ thread, logFile, key }: Order, reference: Reference, signal: AbortSignal) {
  if (thread.how !== 'tar' || thread.contentOnly || reference.how !== 'tar') return null;
  if (WITHOUT_XATTRS.has(reference.filesystem)) return null;
  return compareXattrs({ root: reference.root, key, logFile, ignore: new Set(), signal });
}

/** Of a part, only its length is known; what is in it, the index tells. */
function checkPart(extents: readonly Extent[], { downloaded }: Decoded, found: Findings): void {
  const wanted = lengthOf(extents);
  if (downloaded.bytes !== wanted) found.add('stored-bytes', `${downloaded.bytes} bytes of ${wanted} could be read`);
}

const hasAllOf = (head: ObjectHead, { bytes, crc32 }: Downloaded): boolean =>
  bytes === head.bytes && head.crc32 !== null && decodeCrc32(head.crc32) === crc32;

/** The stored and the plain bytes against what the store and the manifest know of them. */
function checkFacts(object: ArchivedObject, head: ObjectHead, decoded: Decoded, found: Findings): void {
  const { downloaded, comparison } = decoded;
  const { facts } = object;
  const isRead = downloaded.bytes === head.bytes;
  const known =
    facts?.checksum?.algorithm === 'CRC32' && facts.checksum.type === 'FULL_OBJECT' ? facts.checksum.value : head.crc32;
  if (isRead && known !== null && decodeCrc32(known) !== downloaded.crc32) {
    found.add('stored-bytes', 'the CRC-32 of the stored bytes is not the one that was stored with them');
  }
  if (found.list.some(({ kind }) => kind === 'damaged')) return;
  if (facts) checkPlain(facts, comparison, found);
  else checkLength(object, head, comparison, found);
}

function checkPlain(facts: ManifestObject, { plainBytes, plainSha256 }: StreamFindings, found: Findings): void {
  if (facts.plainBytes !== plainBytes) {
    found.add('stored-bytes', `it decodes to ${plainBytes} bytes, the manifest says ${facts.plainBytes}`);
  } else if (facts.plainSha256 && plainSha256 !== '' && facts.plainSha256 !== plainSha256) {
    found.add('stored-bytes', 'the SHA-256 of the plain bytes is not the one in the manifest');
  }
}

/** Without a manifest, only the metadata tell how long an image is: one that ends behind a frame decodes all the same. */
function checkLength(
  { layout }: ArchivedObject,
  head: ObjectHead,
  { plainBytes }: StreamFindings,
  found: Findings,
): void {
  const told = readHeaderValue(head.metadata['uncompressed-size'] ?? '');
  if (layout !== 'image' || !/^\d+$/.test(told) || Number(told) === plainBytes) return;
  found.add('stored-bytes', `it decodes to ${plainBytes} bytes, its metadata say ${told}`);
}
