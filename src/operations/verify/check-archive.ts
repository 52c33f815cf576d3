/** Compares all objects of an archive with the disk of the snapshot. */

import { SnapError } from '../../errors.ts';
import type { PackCounts } from '../../events.ts';
import { notKeptOf } from '../../host/disks/not-kept.ts';
import { notKeptOutside } from '../../host/disks/outside-partitions.ts';
import { openPartition } from '../../host/disks/partition-device.ts';
import { missingNames, surveyFilesystem } from '../../host/filesystems/filesystem-obstacles.ts';
import { contradictionOf, probe } from '../../host/filesystems/filesystems.ts';
import { watchForDamage } from '../../host/filesystems/kernel-errors.ts';
import { mountReadOnly } from '../../host/filesystems/mounts.ts';
import { describeNotKept, type NotKept } from '../../host/filesystems/not-kept-note.ts';
import { monotonic } from '../../lib/clock.ts';
import { count } from '../../lib/units.ts';
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
  /** `null` if there is no manifest, or none yet. */
  manifest: Archive['manifest'];
  disk: Disk;
  /** Data outside the partitions that is not kept. If it is not given and not in the manifest, the disk is searched. */
  notKept?: readonly NotKept[];
  /** The key prefix of the archives. */
  prefix: string;
  mountPoint: string;
  replayJournals: boolean;
  contentOnly: boolean;
}

/**
 * Reports all findings as one event.
 * @returns the findings about each object, which have no differences.
 * @throws SnapError `DIFFERS`, or the reason why the comparison is impossible.
 */
export async function checkArchive(order: CheckOrder, services: ReadContext): Promise<ObjectFindings[]> {
  const started = monotonic();
  const checks: ObjectFindings[] = [];
  for (const object of order.objects)
    checks.push(withIndex(await checkOnDisk(object, order, services), await checkIndex(object, services)));
  const missing = await unarchivedPartitions(order.objects, order.disk, services.signal);
  const described = await compareDescription(order, services);
  const compared = order.contentOnly ? 'content' : 'everything';
  const except = isDescriptionSealed(order, services) ? [SEALED_DESCRIPTION] : [];
  const found = { checks, missing: [...missing, ...described], notKept: await notKeptOfDisk(order, services), except };
  reportCheck(order.snapshotId, compared, found, (monotonic() - started) / 1000, services);
  return checks;
}

const isWholeDisk = ({ layout, partition }: ArchivedObject): boolean => layout === 'image' && partition === null;

/** @returns an empty list for an image of the whole disk, which keeps everything. */
async function notKeptOfDisk(
  { objects, manifest, disk, ...order }: CheckOrder,
  { signal }: ReadContext,
): Promise<readonly NotKept[]> {
  if (objects.some(isWholeDisk)) return [];
  const noted = order.notKept ?? manifest?.content.disk.notKept;
  return noted ?? (await notKeptOutside(disk.device.path, disk.table, signal));
}

export interface Checked {
  checks: readonly ObjectFindings[];
  /** Differences that do not belong to one object, such as missing partitions. */
  missing: readonly Difference[];
  /** Data outside the partitions that is not kept. */
  notKept: readonly NotKept[];
  /** What else was not compared (default: nothing). */
  except?: readonly string[];
  /** For a point, how many packs were read. */
  packs?: PackCounts;
}

const differsFrom = (other: string, found: number): string =>
  `the archive differs from ${other}: ${count(found, 'difference')}`;

/** Everything that is stored is right, except for indexes. */
export class OnlyIndexesDiffer extends SnapError {
  /** Number of differences. */
  readonly count: number;

  constructor(found: number) {
    super('DIFFERS', differsFrom('its manifest or index', found), {
      hint: 'the data of the archive is intact, and restore --no-index reads it; to make a new archive with an index, migrate the snapshot again with --replace',
    });
    this.count = found;
  }
}

type Compared = 'everything' | 'content' | 'archive-only';

/** Notifies the host of the findings. @returns the number of differences. */
export function notifyCheck(
  snapshot: string,
  compared: Compared,
  { checks, missing, notKept: ofDisk, except = [], packs }: Checked,
  seconds: number,
  { host }: Pick<ReadContext, 'host'>,
): number {
  const sum = (pick: (check: ObjectFindings) => number): number =>
    checks.reduce((total, check) => total + pick(check), 0);
  const differenceCount = sum((check) => check.differenceCount) + missing.length;
  host.notify({
    code: 'snapshot.validated',
    snapshot,
    compared,
    except: [...new Set([...checks.flatMap(({ notKept }) => notKept), ...ofDisk].map(describeNotKept)), ...except],
    objects: checks.map(({ key }) => key),
    members: sum(({ members }) => members),
    files: sum(({ files }) => files),
    bytes: sum(({ plainBytes }) => plainBytes),
    packs: packs ?? null,
    differenceCount,
    differences: [
      ...checks.flatMap(({ key, differences }) => differences.map((found) => ({ object: key, ...found }))),
      ...missing.map((found) => ({ object: '', ...found })),
    ],
    seconds,
  });
  return differenceCount;
}

/** @throws SnapError `DIFFERS`; `OnlyIndexesDiffer` if that is so. */
export function reportCheck(
  snapshot: string,
  compared: Compared,
  checked: Checked,
  seconds: number,
  services: ReadContext,
): void {
  const differenceCount = notifyCheck(snapshot, compared, checked, seconds, services);
  if (differenceCount === 0) return;
  const ofIndexes = checked.checks.flatMap(({ differences }) => differences).filter(({ kind }) => kind === 'index');
  if (ofIndexes.length === differenceCount) throw new OnlyIndexesDiffer(differenceCount);
  const other = compared === 'archive-only' ? 'its manifest or index' : 'the snapshot';
  throw new SnapError('DIFFERS', differsFrom(other, differenceCount), {
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
  // A driver may hide data from tar and from this comparison, so the records of the filesystem are read, too. Earlier
  // versions did not read them when they archived.
  const survey = found.isContradictory
    ? { obstacle: contradictionOf(found), names: null }
    : await surveyFilesystem(filesystem, device, services.signal);
  const directory = mountDirectory(snapshotId, object.partition, order, services);
  const { host, signal } = services;
  await using mount = await mountReadOnly(device, filesystem, directory, { replay: order.replayJournals, signal });
  using _held = host.hold({ what: `mount at ${directory}`, cleanupCommand: `umount ${directory}` });
  const damageSince = watchForDamage(filesystem, device);
  const { partition } = object;
  const { path: mountPoint, helper } = mount;
  host.notify({ code: 'partition.mounted', snapshot: snapshotId, partition, filesystem, mountPoint, helper });
  const reference: Reference = { kind: 'tree', root: mountPoint, contentOnly, filesystem };
  const notKept =
    object.facts?.notKept ?? (await notKeptOf({ type: filesystem, device, root: mountPoint, partition }, signal));
  const check = { ...(await verifyObject(object, snapshotId, reference, services)), notKept };
  const missing = check.differenceCount === 0 ? missingNames(survey.names, check.members) : null;
  const unseen = survey.obstacle ?? damageSince() ?? missing;
  return unseen === null ? check : withDifference(check, nothingOf(`data that its driver does not show: ${unseen}`));
}

const withDifference = (check: ObjectFindings, difference: Difference): ObjectFindings => ({
  ...check,
  differences: [difference, ...check.differences],
  differenceCount: check.differenceCount + 1,
});

/**
 * Whether the description of the disk in the manifest cannot be compared: a session key does not open the sealed manifest.
 * For an image of the whole disk, the description is not needed.
 */
export function isDescriptionSealed(
  { objects, manifest }: Pick<CheckOrder, 'objects' | 'manifest'>,
  { sessionKey }: Pick<ReadContext, 'sessionKey'>,
): boolean {
  return Boolean(manifest?.content.sealed) && sessionKey !== null && !objects.some(isWholeDisk);
}

const SEALED_DESCRIPTION = 'the sealed description of the disk (its partition table, boot code, UUIDs and labels)';

async function compareDescription(
  { snapshotId, manifest, disk }: CheckOrder,
  { signal, sessionKey }: ReadContext,
): Promise<Difference[]> {
  if (!manifest || (manifest.content.sealed && sessionKey !== null)) return [];
  return compareWithManifest(await openManifest(manifest, snapshotId, signal), disk, signal);
}
