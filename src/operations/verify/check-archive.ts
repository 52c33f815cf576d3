/** All objects of an archive against the disk that they were made of. */

import { SnapError } from '../../errors.ts';
import { notKeptOf } from '../../host/disks/not-kept.ts';
import { notKeptOutside } from '../../host/disks/outside-partitions.ts';
import { openPartition } from '../../host/disks/partition-device.ts';
import { missingNames, surveyFilesystem } from '../../host/filesystems/filesystem-obstacles.ts';
import { contradictionOf, probe } from '../../host/filesystems/filesystems.ts';
import { mountReadOnly } from '../../host/filesystems/mounts.ts';
import { describeNotKept, type NotKept } from '../../host/filesystems/not-kept-note.ts';
import { monotonic } from '../../lib/clock.ts';
import type { Difference } from '../../streams/difference.ts';
import type { Archive, ArchivedObject } from '../reading/find-archive.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import { verifyObject } from '../reading/object/read-object.ts';
import type { Reference } from '../reading/object/sinks.ts';
import { openManifest } from '../reading/open-manifest.ts';
import type { ReadContext } from '../reading/read-context.ts';
import { mountDirectory } from '../source/mount-directory.ts';
import type { Disk } from '../source/read-disk.ts';
import { checkIndex, withIndex } from './check-index.ts';
import { compareWithManifest } from './check-manifest.ts';
import { nothingOf, unarchivedPartitions } from './unarchived-partitions.ts';

export interface CheckOrder {
  snapshotId: string;
  objects: readonly ArchivedObject[];
  /** `null` where there is none, or none yet. */
  manifest: Archive['manifest'];
  disk: Disk;
  /** What is known not to be kept of the disk by its partitions; where nobody has noted it, it is looked for. */
  notKept?: readonly NotKept[];
  /** Of the archives. */
  prefix: string;
  mountPoint: string;
  replayJournals: boolean;
  contentOnly: boolean;
}

/**
 * Tells what was found by one event.
 * @returns the check of each object, all of them without a difference.
 * @throws SnapError `DIFFERS`, or the reason why this cannot be determined.
 */
export async function checkArchive(order: CheckOrder, services: ReadContext): Promise<ObjectFindings[]> {
  const started = monotonic();
  const checks: ObjectFindings[] = [];
  for (const object of order.objects)
    checks.push(withIndex(await checkOnDisk(object, order, services), await checkIndex(object, services)));
  const missing = await unarchivedPartitions(order.objects, order.disk, services.signal);
  const described = await compareDescription(order, services);
  const compared = order.contentOnly ? 'content' : 'everything';
  const found = { checks, missing: [...missing, ...described], notKept: await notKeptOfDisk(order, services) };
  reportCheck(order.snapshotId, compared, found, (monotonic() - started) / 1000, services);
  return checks;
}

/** The image of a disk has all of it. */
async function notKeptOfDisk(
  { objects, manifest, disk, ...order }: CheckOrder,
  { signal }: ReadContext,
): Promise<readonly NotKept[]> {
  if (objects.some(({ layout, partition }) => layout === 'image' && partition === null)) return [];
  const noted = order.notKept ?? manifest?.content.disk.notKept;
  return noted ?? (await notKeptOutside(disk.device.path, disk.table, signal));
}

export interface Checked {
  checks: readonly ObjectFindings[];
  /** What the archive has not, or has wrong, besides. */
  missing: readonly Difference[];
  /** Of the disk. */
  notKept: readonly NotKept[];
}

/** @throws SnapError `DIFFERS` */
export function reportCheck(
  snapshot: string,
  compared: 'everything' | 'content' | 'archive-only',
  { checks, missing, notKept: ofDisk }: Checked,
  seconds: number,
  { host }: ReadContext,
): void {
  const sum = (pick: (check: ObjectFindings) => number): number =>
    checks.reduce((total, check) => total + pick(check), 0);
  const differenceCount = sum((check) => check.differenceCount) + missing.length;
  host.notify({
    code: 'snapshot.validated',
    snapshot,
    compared,
    except: [...new Set([...checks.flatMap(({ notKept }) => notKept), ...ofDisk].map(describeNotKept))],
    objects: checks.map(({ key }) => key),
    members: sum(({ members }) => members),
    files: sum(({ files }) => files),
    bytes: sum(({ plainBytes }) => plainBytes),
    differenceCount,
    differences: [
      ...checks.flatMap(({ key, differences }) => differences.map((found) => ({ object: key, ...found }))),
      ...missing.map((found) => ({ object: '', ...found })),
    ],
    seconds,
  });
  if (differenceCount === 0) return;
  const what = compared === 'archive-only' ? 'the archive and its manifest differ' : 'archive and snapshot differ';
  throw new SnapError('DIFFERS', `${what} in ${differenceCount} ${differenceCount === 1 ? 'thing' : 'things'}`, {
    hint: 'keep the snapshot; migrate it again with --replace, and validate the new archive',
  });
}

async function checkOnDisk(object: ArchivedObject, order: CheckOrder, services: ReadContext): Promise<ObjectFindings> {
  const { device, table } = order.disk;
  if (object.partition === null) return checkOnDevice(object, device.path, order, services);
  const partition = table.partitions.find(({ number }) => number === object.partition);
  if (!partition) {
    throw new SnapError('DIFFERS', `${object.key}: the disk has no partition ${object.partition}`, {
      hint: 'the object belongs to another disk; migrate the snapshot again with --replace',
    });
  }
  await using opened = await openPartition(device.path, partition, services.signal);
  return await checkOnDevice(object, opened.path, order, services);
}

async function checkOnDevice(
  object: ArchivedObject,
  device: string,
  order: CheckOrder,
  services: ReadContext,
): Promise<ObjectFindings> {
  const { snapshotId, contentOnly } = order;
  if (object.layout === 'image') return verifyObject(object, snapshotId, { kind: 'device', device }, services);
  const found = await probe(device, services.signal);
  const filesystem = found.type ?? '';
  // The driver shows neither to tar nor to the comparison what is only in the filesystem's own records. Archives of
  // earlier versions were made without a look at them.
  const survey = found.isContradictory
    ? { obstacle: contradictionOf(found), names: null }
    : await surveyFilesystem(filesystem, device, services.signal);
  const directory = mountDirectory(snapshotId, object.partition, order, services);
  const { host, signal } = services;
  await using mount = await mountReadOnly(device, filesystem, directory, { replay: order.replayJournals, signal });
  using _held = host.hold({ what: `mount at ${directory}`, cleanupCommand: `umount ${directory}` });
  const { partition } = object;
  const { path: mountPoint, helper } = mount;
  host.notify({ code: 'partition.mounted', snapshot: snapshotId, partition, filesystem, mountPoint, helper });
  const reference: Reference = { kind: 'tree', root: mountPoint, contentOnly, filesystem };
  const notKept =
    object.facts?.notKept ?? (await notKeptOf({ type: filesystem, device, root: mountPoint, partition }, signal));
  const check = { ...(await verifyObject(object, snapshotId, reference, services)), notKept };
  const isSame = survey.obstacle === null && check.differenceCount === 0;
  const unseen = isSame ? missingNames(survey.names, check.members) : survey.obstacle;
  return unseen === null ? check : withDifference(check, nothingOf(`data that its driver does not show: ${unseen}`));
}

const withDifference = (check: ObjectFindings, difference: Difference): ObjectFindings => ({
  ...check,
  differences: [difference, ...check.differences],
  differenceCount: check.differenceCount + 1,
});

/** What is sealed is not opened by the session key of an object. */
async function compareDescription(
  { snapshotId, manifest, disk }: CheckOrder,
  { signal, sessionKey }: ReadContext,
): Promise<Difference[]> {
  if (!manifest || (manifest.content.sealed && sessionKey !== null)) return [];
  return compareWithManifest(await openManifest(manifest, snapshotId, signal), disk, signal);
}
