/** One object of an archive, read into a sink: planned by what the store says of it, fetched, decoded, and judged. */
import type { ObjectHead } from '../../../cloud/ports.ts';
import { monotonic } from '../../../lib/clock.ts';
import type { Difference } from '../../../streams/difference.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { ReadContext } from '../read-context.ts';
import { type DecodedObject, decodeObject } from './decode-object.ts';
import {
  compareHead,
  comparePart,
  comparePlain,
  compareStored,
  hasAllOf,
  NOTHING_READ,
  type ObjectFindings,
} from './object-findings.ts';
import { extentsOf, type Reference, type Sink, type WriteTarget } from './sinks.ts';

/**
 * Compares an object, and writes nothing. What differs is read once more, unless the bytes that came are known to be the
 * stored ones: a difference is one of the archive then, not of the way to it.
 * @throws SnapError when this cannot be determined, for example `OBJECT_ARCHIVED`, `GPG_KEY`, `DOWNLOAD_FAILED`.
 */
export const verifyObject = (
  object: ArchivedObject,
  snapshotId: string,
  reference: Reference,
  services: ReadContext,
): Promise<ObjectFindings> => readTwice(object, snapshotId, [reference, reference], services);

/**
 * Writes an object to a target, and compares it on the way. Blocks that differ are written to their places again; files
 * that were made, and bytes that somebody else has taken, cannot be taken back.
 * @throws as `verifyObject`
 */
export const writeObject = (
  object: ArchivedObject,
  snapshotId: string,
  target: WriteTarget,
  services: ReadContext,
): Promise<ObjectFindings> => {
  // What was written the first time is not zero any more.
  const again = target.kind === 'image' ? { ...target, isBlank: false } : null;
  return readTwice(object, snapshotId, [target, again], services);
};

/** @param sinks for the first read, and for another one; `null` where it can be done only once. */
async function readTwice(
  object: ArchivedObject,
  snapshotId: string,
  [sink, again]: [Sink, Sink | null],
  services: ReadContext,
): Promise<ObjectFindings> {
  const first = await readOnce(object, snapshotId, sink, services);
  if (first.differenceCount === 0 || first.isAsStored || again === null) return first;
  services.host.notify({ code: 'object.reread', snapshot: snapshotId, key: object.key });
  return readOnce(object, snapshotId, again, services);
}

async function readOnce(
  object: ArchivedObject,
  snapshotId: string,
  sink: Sink,
  services: ReadContext,
): Promise<ObjectFindings> {
  const started = monotonic();
  const { key } = object;
  const head = await services.store.head(key, { signal: services.signal });
  const differences = compareHead(head, object, snapshotId);
  const differenceCount = differences.length;
  const seconds = () => (monotonic() - started) / 1000;
  if (!head) return { ...NOTHING_READ, key, differences, differenceCount, isAsStored: true, seconds: seconds() };
  // The places of its parts are those of another object then.
  if (extentsOf(sink) && differenceCount > 0)
    return { ...NOTHING_READ, key, differences, differenceCount, isAsStored: true, seconds: seconds() };
  const decoded = await decodeObject({ object, head, sink }, services);
  const found = [...differences, ...judge(object, head, sink, decoded)];
  return { ...summaryOf(head, decoded, found), seconds: seconds() };
}

/** What differs outside of the plain stream, as far as it is listed. */
function judge(object: ArchivedObject, head: ObjectHead, sink: Sink, decoded: DecodedObject): Difference[] {
  const { downloaded, plain, problem, rest } = decoded;
  const damage: Difference[] =
    problem === null ? [] : [{ kind: 'damaged', path: '', detail: `it cannot be decoded: ${problem}` }];
  const extents = extentsOf(sink);
  if (extents) return [...damage, ...rest.kept, ...comparePart(extents, downloaded)];
  const stored = compareStored(object, head, downloaded);
  return [...damage, ...rest.kept, ...stored, ...(problem === null ? comparePlain(object, head, plain) : [])];
}

/** @param found besides what was found in the plain stream. */
function summaryOf(
  head: ObjectHead,
  { downloaded, plain, rest }: DecodedObject,
  found: readonly Difference[],
): Omit<ObjectFindings, 'seconds'> {
  const { members, files, contentBytes, plainBytes, plainSha256, leftOut, missing } = plain;
  return {
    ...NOTHING_READ,
    key: head.key,
    fetchedBytes: downloaded.bytes,
    differences: [...found, ...plain.differences],
    differenceCount: found.length + (rest.count - rest.kept.length) + plain.differenceCount,
    ...{ members, files, contentBytes, plainBytes, plainSha256 },
    isAsStored: hasAllOf(head, downloaded),
    leftOut: leftOut ?? NOTHING_READ.leftOut,
    missing: missing ?? [],
  };
}
