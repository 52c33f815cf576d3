/** Restores one archive to a scratch directory, and reads the restored data again to compare it. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { asError, SnapError } from '../../errors.ts';
import type { DifferenceNote, DrillEvidence, DrillRow, Host } from '../../events.ts';
import { treeDirectory } from '../../host/remove-tree.ts';
import { monotonic, now } from '../../lib/clock.ts';
import type { FoundArchive } from '../reading/bucket/scan-bucket.ts';
import type { Archive, ArchivedObject } from '../reading/find-archive.ts';
import { imageIndexOf } from '../reading/index/image-index.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import { verifyObject } from '../reading/object/read-object.ts';
import type { Reference } from '../reading/object/sinks.ts';
import type { ReadContext } from '../reading/read-context.ts';
import { restoreFiles } from '../restore/files/restore-files.ts';
import { restoreImage } from '../restore/image/restore-image.ts';
import type { Services } from '../shared/services.ts';
import type { DrillSettings } from '../shared/settings/drill.ts';
import type { RestoreSettings } from '../shared/settings/restore.ts';
import { compareFilesWithIndex, compareImageWithIndex, type RestoredFindings } from './compare-restored.ts';

/** Maximum number of differences that a row lists. */
const LISTED = 100;

/** The context of a drill. */
export interface Drilling {
  settings: DrillSettings;
  services: Services;
  /** The directory below which scratch directories are created. */
  base: string;
  signal: AbortSignal;
}

/** A restored object. */
interface RestoredObject {
  object: ArchivedObject;
  snapshotId: string;
  /** A directory for files, a file for an image. */
  path: string;
  /** Whether owners, device nodes and capabilities could be restored. */
  isPrivileged: boolean;
}

/**
 * Restores and compares one object after another, so that the scratch directory needs space only for the largest one.
 * @param row is updated after each step, also if a later step fails.
 * @throws SnapError `DIFFERS` if the restored data differs; the errors of the restore.
 */
export async function drillObjects(archive: Archive, row: DrillRow, drilling: Drilling): Promise<void> {
  for (const object of archive.objects) {
    await using scratch = scratchDirectory(drilling.base, drilling.services.host);
    await drillObject(archive, object, join(scratch.path, 'restored'), row, drilling);
  }
  assertMatches(row);
}

/** @throws SnapError `DIFFERS` if anything differs. */
export function assertMatches({ differenceCount, differences }: DrillRow): void {
  if (differenceCount === 0) return;
  const [{ path, detail } = { path: '', detail: '' }] = differences;
  throw new SnapError(
    'DIFFERS',
    `the restored data differs from the archive: ${path === '' ? '' : `${path}: `}${detail}`,
    {
      hint: 'validate the archive with validate --archive-only; if it is not damaged, check the scratch filesystem and the memory of this machine',
    },
  );
}

async function drillObject(
  { snapshotId, manifest }: Archive,
  object: ArchivedObject,
  path: string,
  row: DrillRow,
  { settings, services, signal }: Drilling,
): Promise<void> {
  const started = monotonic();
  const restoring: Services = { ...services, host: counting(withoutUnfinished(services.host), row) };
  const isPrivileged = process.getuid?.() === 0;
  const order = { kind: 'directory' as const, path, paths: null, isPrivileged };
  const restore = { ...restoreSettings(snapshotId, object, settings), target: order };
  const single = { snapshotId, manifest, point: null, objects: [object] };
  if (object.layout === 'tar') await restoreFiles(single, order, restore, restoring, signal);
  else await restoreImage(single, { ...restore, target: { kind: 'file', path } }, restoring, signal);
  const restored = monotonic();
  row.restoring += (restored - started) / 1000;
  const check: ReadContext = { ...services, signal, streams: settings.downloadStreams, sessionKey: null };
  await compareObject({ object, snapshotId, path, isPrivileged }, row, check);
  row.comparing += (monotonic() - restored) / 1000;
}

export function restoreSettings(
  snapshotId: string,
  { partition }: Pick<ArchivedObject, 'partition'>,
  { prefix, downloadStreams, thaw }: DrillSettings,
): Omit<RestoreSettings, 'target'> {
  const noThaw = { tier: 'Bulk' as const, days: 1, consent: null, wait: false, resumeCommand: 'drill --thaw' };
  return {
    thaw: thaw ?? noThaw,
    snapshotId,
    prefix,
    partition,
    encrypt: false,
    kmsKeyArn: null,
    overwrite: false,
    sessionKey: null,
    downloadStreams,
    useIndex: true,
    withoutManifest: true,
    dryRun: false,
  };
}

/** Compares with the index or, if it is missing or cannot verify everything, with the archive, which is read again. */
async function compareObject(restored: RestoredObject, row: DrillRow, check: ReadContext): Promise<void> {
  const { object, snapshotId, path, isPrivileged } = restored;
  const found = await compareWithIndex(restored, check);
  if (found) {
    note(row, object, 'index', found.differences.kept, found.differences.count);
    row.files += found.files;
    row.bytes += found.bytes;
    if (found.unproved === 0) return;
  }
  const contentOnly = !isPrivileged || object.facts === null;
  const reference: Reference =
    object.layout === 'tar'
      ? { kind: 'tree', root: path, contentOnly, filesystem: '' }
      : { kind: 'device', device: path };
  const again: ObjectFindings = await verifyObject(object, snapshotId, reference, check);
  const evidence = contentOnly && object.layout === 'tar' ? 'archive-content' : 'archive';
  note(row, object, evidence, again.differences, again.differenceCount);
  row.fetchedBytes += again.fetchedBytes;
  if (found) return;
  row.files += again.files;
  row.bytes += object.layout === 'image' ? Math.min(again.contentBytes, allocatedBytes(path)) : again.contentBytes;
}

/** Excludes the holes of the sparse file, which are the zeros of the image. `blocks` has units of 512 bytes (stat(2)). */
const allocatedBytes = (path: string): number => statSync(path).blocks * 512;

/** @returns `null` if there is no index. */
async function compareWithIndex(
  { object, snapshotId, path, isPrivileged }: RestoredObject,
  check: ReadContext,
): Promise<RestoredFindings | null> {
  if (!object.facts?.index) return null;
  if (object.layout === 'tar') return compareFilesWithIndex(object, snapshotId, path, isPrivileged, check);
  const index = await imageIndexOf(object, snapshotId, check);
  return index ? compareImageWithIndex(path, index.table, check.signal) : null;
}

export function note(
  row: DrillRow,
  { key }: Pick<ArchivedObject, 'key'>,
  evidence: DrillEvidence,
  found: readonly Omit<DifferenceNote, 'object'>[],
  count: number,
): void {
  if (!row.comparedWith.includes(evidence)) row.comparedWith.push(evidence);
  row.differenceCount += count;
  const room = LISTED - row.differences.length;
  row.differences.push(...found.slice(0, room).map((difference) => ({ object: key, ...difference })));
}

/** Counts the fetched bytes of whole objects. */
const counting = (host: Host, row: DrillRow): Host => ({
  ...host,
  notify: (event) => {
    if (event.code === 'object.restored') row.fetchedBytes += event.fetchedBytes;
    host.notify(event);
  },
});

/** Hides the event that something unfinished is kept: the scratch directory is removed. */
export const withoutUnfinished = (host: Host): Host => ({
  ...host,
  notify: (event) => {
    if (event.code !== 'restore.unfinished') host.notify(event);
  },
});

export function scratchDirectory(base: string, host: Host): AsyncDisposable & { path: string } {
  const scratch = newScratch(base);
  const { path } = scratch;
  const held = host.hold({ what: `scratch directory ${path}`, cleanupCommand: `rm -rf -- ${path}` });
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await scratch[Symbol.asyncDispose]();
      held[Symbol.dispose]();
    },
  };
}

function newScratch(base: string): ReturnType<typeof treeDirectory> {
  try {
    return treeDirectory(base);
  } catch (cause) {
    throw new SnapError('TARGET', `cannot create a directory in ${base}: ${asError(cause).message}`, {
      hint: 'specify an existing, writable directory with --scratch',
      cause,
    });
  }
}

/** The row of an archive that has not been restored yet. A point may have stored no packs itself. */
export const emptyRow = ({ id, volumeId, startTime, data, indexes }: FoundArchive): DrillRow => ({
  snapshot: id,
  volume: volumeId,
  startTime: startTime.toISOString(),
  storedAt: newest(data.length > 0 ? data : indexes).toISOString(),
  keys: data.map(({ key }) => key),
  outcome: 'failed',
  restoredAt: now().toISOString(),
  files: 0,
  bytes: 0,
  fetchedBytes: 0,
  restoring: 0,
  comparing: 0,
  comparedWith: [],
  packs: null,
  differenceCount: 0,
  differences: [],
  reason: null,
});

const newest = (objects: FoundArchive['data']): Date =>
  new Date(Math.max(...objects.map(({ modifiedAt }) => modifiedAt.getTime())));
