/** One archive restored to a throw-away place, and what lies there then read again and compared. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { asError, SnapError } from '../../errors.ts';
import type { DifferenceNote, DrillEvidence, DrillRow, Host } from '../../events.ts';
import { treeDirectory } from '../../host/remove-tree.ts';
import { monotonic, now } from '../../lib/clock.ts';
import type { FoundArchive } from '../reading/bucket/scan-bucket.ts';
import type { Archive, ArchivedObject } from '../reading/find-archive.ts';
import { imageIndexOf } from '../reading/image-index.ts';
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

/** Differences that a row lists. */
const LISTED = 100;

/** What every archive of a drill is restored with. */
export interface Drilling {
  settings: DrillSettings;
  services: Services;
  /** A directory; what is restored lies below it for a while. */
  base: string;
  signal: AbortSignal;
}

/** An object as it was restored. */
interface RestoredObject {
  object: ArchivedObject;
  snapshotId: string;
  /** A directory for files, a file for an image. */
  path: string;
  /** Whether owners, device nodes and capabilities could be restored. */
  isPrivileged: boolean;
}

/**
 * Object after object, so that there is room for the largest only.
 * @param row is filled on the way, whatever happens.
 * @throws SnapError `DIFFERS`, and why it could not be restored.
 */
export async function drillObjects(archive: Archive, row: DrillRow, drilling: Drilling): Promise<void> {
  for (const object of archive.objects) {
    await using scratch = scratchDirectory(drilling.base, drilling.services.host);
    await drillObject(archive, object, join(scratch.path, 'restored'), row, drilling);
  }
  if (row.differenceCount === 0) return;
  const [first] = row.differences;
  throw new SnapError('DIFFERS', `what was restored differs from the archive: ${first?.path} ${first?.detail}`, {
    hint: 'if the bucket is sound, so is the archive: look at the scratch filesystem, and at the memory of this machine',
  });
}

async function drillObject(
  { snapshotId, manifest }: Archive,
  object: ArchivedObject,
  path: string,
  row: DrillRow,
  { settings, services, signal }: Drilling,
): Promise<void> {
  const started = monotonic();
  const restoring: Services = { ...services, host: counting(services.host, row) };
  const isPrivileged = process.getuid?.() === 0;
  const order = { kind: 'directory' as const, path, paths: null, isPrivileged };
  const restore = { ...restoreSettings(snapshotId, object, settings), target: order };
  const single = { snapshotId, manifest, objects: [object] };
  if (object.layout === 'tar') await restoreFiles(single, order, restore, restoring, signal);
  else await restoreImage(single, { ...restore, target: { kind: 'file', path } }, restoring, signal);
  const restored = monotonic();
  row.restoring += (restored - started) / 1000;
  const check: ReadContext = { ...services, signal, streams: settings.downloadStreams, sessionKey: null };
  await compareObject({ object, snapshotId, path, isPrivileged }, row, check);
  row.comparing += (monotonic() - restored) / 1000;
}

function restoreSettings(
  snapshotId: string,
  { partition }: ArchivedObject,
  { prefix, downloadStreams, thaw }: DrillSettings,
): Omit<RestoreSettings, 'target'> {
  const nobody = { tier: 'Bulk' as const, days: 1, consent: null, wait: false, resumeCommand: 'drill --thaw' };
  return {
    thaw: thaw ?? nobody,
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

/** Against the index; against the archive itself, fetched again, where the index is not there or tells too little. */
async function compareObject(restored: RestoredObject, row: DrillRow, check: ReadContext): Promise<void> {
  const { object, snapshotId, path, isPrivileged } = restored;
  const found = await againstIndex(restored, check);
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

/** Zeros of an image are holes. Source of the unit: stat(2). */
const allocatedBytes = (path: string): number => statSync(path).blocks * 512;

/** `null` without an index. */
async function againstIndex(
  { object, snapshotId, path, isPrivileged }: RestoredObject,
  check: ReadContext,
): Promise<RestoredFindings | null> {
  if (!object.facts?.index) return null;
  if (object.layout === 'tar') return compareFilesWithIndex(object, snapshotId, path, isPrivileged, check);
  const index = await imageIndexOf(object, check);
  return index ? compareImageWithIndex(path, index.table, check.signal) : null;
}

function note(
  row: DrillRow,
  { key }: ArchivedObject,
  evidence: DrillEvidence,
  found: readonly Omit<DifferenceNote, 'object'>[],
  count: number,
): void {
  if (!row.comparedWith.includes(evidence)) row.comparedWith.push(evidence);
  row.differenceCount += count;
  const room = LISTED - row.differences.length;
  row.differences.push(...found.slice(0, room).map((difference) => ({ object: key, ...difference })));
}

/** What restoring says of itself. */
const counting = (host: Host, row: DrillRow): Host => ({
  ...host,
  notify: (event) => {
    if (event.code === 'object.restored') row.fetchedBytes += event.fetchedBytes;
    // Nothing stays.
    if (event.code !== 'restore.unfinished') host.notify(event);
  },
});

function scratchDirectory(base: string, host: Host): AsyncDisposable & { path: string } {
  const scratch = newScratch(base);
  const { path } = scratch;
  const held = host.hold({ what: `what was restored to ${path}`, cleanupCommand: `rm -rf -- ${path}` });
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
    throw new SnapError('TARGET', `nothing can be restored below ${base}: ${asError(cause).message}`, {
      hint: 'give another --scratch',
      cause,
    });
  }
}

/** Of an archive of which nothing is known yet. */
export const emptyRow = ({ id, volumeId, startTime, data }: FoundArchive): DrillRow => ({
  snapshot: id,
  volume: volumeId,
  startTime: startTime.toISOString(),
  storedAt: new Date(Math.max(...data.map(({ modifiedAt }) => modifiedAt.getTime()))).toISOString(),
  keys: data.map(({ key }) => key),
  outcome: 'failed',
  restoredAt: now().toISOString(),
  files: 0,
  bytes: 0,
  fetchedBytes: 0,
  restoring: 0,
  comparing: 0,
  comparedWith: [],
  differenceCount: 0,
  differences: [],
  reason: null,
});
