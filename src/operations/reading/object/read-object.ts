/** Reads one object of an archive into a sink, and compares it with the facts of the store and the manifest. */
import type { ObjectHead } from '../../../cloud/ports.ts';
import { monotonic } from '../../../lib/clock.ts';
import type { Difference } from '../../../streams/difference.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { ReadContext } from '../read-context.ts';
import { readTwice } from '../read-twice.ts';
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
 * Compares an object, and writes nothing. If anything differs, the object is read once more, unless the CRC-32 shows that
 * the stored bytes were read unchanged: then the archive itself differs.
 * @throws SnapError if the comparison is impossible, for example `OBJECT_ARCHIVED`, `GPG_KEY`, `DOWNLOAD_FAILED`.
 */
export const verifyObject = (
  object: ArchivedObject,
  snapshotId: string,
  reference: Reference,
  services: ReadContext,
): Promise<ObjectFindings> => readWithDoubt(object, snapshotId, [reference, reference], services);

/**
 * Writes an object to a target, and compares it at the same time. If an image differs, it is read and written once more. Files
 * and streams are not, because created files and consumed bytes cannot be taken back.
 * @throws SnapError as `verifyObject` does.
 */
export const writeObject = (
  object: ArchivedObject,
  snapshotId: string,
  target: WriteTarget,
  services: ReadContext,
): Promise<ObjectFindings> => {
  // After the first attempt, the target is no longer blank.
  const again = target.kind === 'image' ? { ...target, isBlank: false } : null;
  return readWithDoubt(object, snapshotId, [target, again], services);
};

/** @param sinks the sinks for the first and the second read; the latter is `null` if a second read is impossible. */
function readWithDoubt(
  object: ArchivedObject,
  snapshotId: string,
  [sink, again]: [Sink, Sink | null],
  services: ReadContext,
): Promise<ObjectFindings> {
  return readTwice(
    { snapshot: snapshotId, key: object.key },
    services.host,
    (isAgain) => readOnce(object, snapshotId, isAgain && again ? again : sink, services),
    (first) => first.status === 'fulfilled' && mayBeTransit(first.value) && again !== null,
  );
}

const mayBeTransit = ({ differenceCount, isAsStored }: ObjectFindings): boolean => differenceCount > 0 && !isAsStored;

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
  // The positions of the extents do not apply to another object.
  if (extentsOf(sink) && differenceCount > 0)
    return { ...NOTHING_READ, key, differences, differenceCount, isAsStored: true, seconds: seconds() };
  const decoded = await decodeObject({ object, head, sink }, services);
  const found = [...differences, ...judge(object, head, sink, decoded)];
  return { ...summaryOf(head, decoded, found), seconds: seconds() };
}

/** @returns the listed differences that were not found in the plain stream. */
function judge(object: ArchivedObject, head: ObjectHead, sink: Sink, decoded: DecodedObject): Difference[] {
  const { downloaded, plain, problem, rest } = decoded;
  const damage: Difference[] =
    problem === null ? [] : [{ kind: 'damaged', path: '', detail: `it cannot be decoded: ${problem}` }];
  const extents = extentsOf(sink);
  if (extents) return [...damage, ...rest.kept, ...comparePart(extents, downloaded)];
  const stored = compareStored(object, head, downloaded);
  return [...damage, ...rest.kept, ...stored, ...(problem === null ? comparePlain(object, head, plain) : [])];
}

/** @param found the differences that were not found in the plain stream. */
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
