/** The operation `restore --dry-run`: shows what would be restored, and refuses what a restore would refuse. */
import type { ImageIndex } from '../../archive/block-table.ts';
import type { PlannedObject, PlannedRoom, RestorePlan } from '../../events.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { GiB } from '../../lib/units.ts';
import { lengthOf } from '../../transfer/download.ts';
import type { Archive, ArchivedObject } from '../reading/find-archive.ts';
import { sizeOfImage } from '../reading/image-size.ts';
import { imageIndexOf } from '../reading/index/image-index.ts';
import { assertHeadMatches } from '../reading/object/object-findings.ts';
import type { ReadContext } from '../reading/read-context.ts';
import type { Services } from '../shared/services.ts';
import type { FilesOrder, RestoreSettings, VolumeTarget } from '../shared/settings/restore.ts';
import { offerThaw } from '../thaw/thaw.ts';
import { planFiles } from './files/plan-files.ts';
import { ImagePlan } from './image/plan-image.ts';
import { type ImageSettings, planImage } from './image/restore-image.ts';
import { planNewVolume, plannedObjects } from './volume/restore-volume.ts';

interface Wanted {
  object: ArchivedObject;
  /** The snapshot that stored it; that of the archive if it is absent. */
  snapshotId?: string;
  /** The target, for messages. */
  to: string;
  /** Stored bytes that would be read; `null` for the whole object. */
  fetchBytes: number | null;
  /** `null` if not known. */
  plainBytes: number | null;
}

interface Found {
  wanted: Wanted[];
  rooms: PlannedRoom[];
}

/**
 * Changes nothing, and notifies the host of the plan.
 * @throws SnapError the errors that a restore would throw before it reads the data, except those about objects in archive
 *   classes.
 */
export async function showRestore(
  archive: Archive,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { target, downloadStreams: streams, sessionKey } = settings;
  const check: ReadContext = { ...services, signal, streams, sessionKey };
  const { wanted, rooms } = await find(archive, settings, services, check);
  const objects: PlannedObject[] = [];
  const frozen = [];
  for (const { object, snapshotId = archive.snapshotId, to, fetchBytes, plainBytes } of wanted) {
    const head = await services.store.head(object.key, { signal });
    assertHeadMatches(head, object, snapshotId);
    const { storageClass, bytes: storedBytes, restore: retrieval } = head;
    if (retrieval === 'needed') frozen.push(head);
    const { key, partition, layout } = object;
    const sizes = { storedBytes, fetchBytes: fetchBytes ?? storedBytes, plainBytes };
    objects.push({ key, partition, layout, to, storageClass, retrieval, ...sizes });
  }
  if (frozen.length > 0) await offerThaw(archive.snapshotId, frozen, settings.thaw, { ...services, signal });
  const plan: RestorePlan = { target: target.kind, objects, rooms };
  services.host.notify({ code: 'restore.planned', snapshot: archive.snapshotId, plan });
}

async function find(
  archive: Archive,
  settings: RestoreSettings,
  services: Services,
  check: ReadContext,
): Promise<Found> {
  const { target } = settings;
  if (target.kind === 'directory') return findFiles(archive, target, settings, check);
  if (target.kind === 'volume') return findVolume(archive, target, settings, services, check);
  return findImage(archive, { ...settings, target }, check);
}

async function findFiles(
  archive: Archive,
  order: FilesOrder,
  settings: RestoreSettings,
  check: ReadContext,
): Promise<Found> {
  await using temporary = temporaryDirectory();
  const plans = await planFiles(archive, order, settings, temporary.path, check);
  const wanted = plans.map(({ object, directory: { path: to }, chosen }): Wanted => {
    const part = chosen?.choice?.part ?? null;
    const plainBytes = object.facts?.plainBytes ?? null;
    return { object, to, fetchBytes: part && lengthOf(part.extents), plainBytes };
  });
  const rooms = plans.map(({ directory: { path: where, freeBytes }, neededBytes }) => {
    return { where, neededBytes, roomBytes: freeBytes, holds: null };
  });
  return { wanted, rooms };
}

async function findImage(archive: Archive, settings: ImageSettings, check: ReadContext): Promise<Found> {
  const { target } = settings;
  const { object, index, size, wanted, found } = await planImage(archive, settings, check);
  const to = target.kind === 'snapshot' ? 'a new snapshot' : target.path;
  const fetchBytes = fetchBytesOf(object, index);
  const room = found ?? { neededBytes: size.plainBytes, roomBytes: (wanted?.sizeGiB ?? 0) * GiB, holds: null };
  return { wanted: [{ object, to, fetchBytes, plainBytes: size.plainBytes }], rooms: [{ where: to, ...room }] };
}

async function findVolume(
  archive: Archive,
  target: VolumeTarget,
  settings: RestoreSettings,
  services: Services,
  check: ReadContext,
): Promise<Found> {
  const { plan, sizeGiB, simplified } = await planNewVolume(archive, target, settings, services, check.signal);
  const { snapshotId: snapshot } = archive;
  for (const one of simplified) check.host.notify({ code: 'filesystem.simplified', snapshot, volume: null, ...one });
  const { availabilityZone } = await services.instance();
  const where = `a new volume in ${availabilityZone}`;
  const wanted: Wanted[] = [];
  for (const { object, snapshotId, packBytes } of plannedObjects(plan, archive.snapshotId)) {
    const to = object.partition === null ? where : `partition ${object.partition} of ${where}`;
    const index =
      object.layout === 'image' && settings.useIndex ? await imageIndexOf(object, archive.snapshotId, check) : null;
    const { plainBytes } = await sizeOfImage(archive, object, null, check);
    wanted.push({ object, snapshotId, to, fetchBytes: packBytes ?? fetchBytesOf(object, index), plainBytes });
  }
  const rooms = [{ where, neededBytes: plan.sizeGiB * GiB, roomBytes: sizeGiB * GiB, holds: null }];
  return { wanted, rooms };
}

/** @returns `null` for the whole object. */
function fetchBytesOf(object: ArchivedObject, index: ImageIndex | null): number | null {
  const plan = index && ImagePlan.of(object, index);
  return plan && lengthOf(plan.streamOf(plan.whole).extents);
}
