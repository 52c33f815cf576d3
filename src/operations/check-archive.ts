/** All objects of an archive against the disk that they were made of. */
import { join } from 'node:path';
import type { Difference } from '../compare/difference.ts';
import { SnapError } from '../errors.ts';
import type { FoundDevice } from '../host/block-devices.ts';
import { probe, treatmentOf } from '../host/filesystems.ts';
import { mountReadOnly } from '../host/mounts.ts';
import { openPartition } from '../host/partition-device.ts';
import type { PartitionTable } from '../host/partition-table.ts';
import { monotonic } from '../lib/clock.ts';
import { type CheckServices, checkObject, type ObjectCheck, type Reference } from './check-object.ts';
import type { ArchivedObject } from './find-archive.ts';

export interface Disk {
  device: FoundDevice;
  table: PartitionTable;
}

export interface CheckOrder {
  snapshotId: string;
  objects: readonly ArchivedObject[];
  disk: Disk;
  mountPoint: string;
  replayJournals: boolean;
  contentOnly: boolean;
}

/**
 * Tells what was found by one event.
 * @returns the check of each object, all of them without a difference.
 * @throws SnapError `DIFFERS`, or why it cannot be told.
 */
export async function checkArchive(order: CheckOrder, services: CheckServices): Promise<ObjectCheck[]> {
  const started = monotonic();
  const checks: ObjectCheck[] = [];
  for (const object of order.objects) checks.push(await checkOnDisk(object, order, services));
  const missing = await missingPartitions(order, services.signal);
  const compared = order.contentOnly ? 'content' : 'everything';
  tellOfCheck(order.snapshotId, compared, checks, missing, (monotonic() - started) / 1000, services);
  return checks;
}

/** @throws SnapError `DIFFERS` */
export function tellOfCheck(
  snapshot: string,
  compared: 'everything' | 'content' | 'archive-only',
  checks: readonly ObjectCheck[],
  missing: readonly Difference[],
  seconds: number,
  { host }: CheckServices,
): void {
  const sum = (pick: (check: ObjectCheck) => number): number => checks.reduce((total, check) => total + pick(check), 0);
  const differenceCount = sum((check) => check.differenceCount) + missing.length;
  host.notify({
    code: 'snapshot.validated',
    snapshot,
    compared,
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
    hint: 'keep the snapshot; migrate it again, and validate that',
  });
}

async function checkOnDisk(object: ArchivedObject, order: CheckOrder, services: CheckServices): Promise<ObjectCheck> {
  const { device, table } = order.disk;
  if (object.partition === null) return checkOnDevice(object, device.path, order, services);
  const partition = table.partitions.find(({ number }) => number === object.partition);
  if (!partition) {
    throw new SnapError('DIFFERS', `${object.key}: the disk has no partition ${object.partition}`, {
      hint: 'the object is of another disk; migrate the snapshot again',
    });
  }
  await using opened = await openPartition(device.path, partition, services.signal);
  return await checkOnDevice(object, opened.path, order, services);
}

async function checkOnDevice(
  object: ArchivedObject,
  device: string,
  order: CheckOrder,
  services: CheckServices,
): Promise<ObjectCheck> {
  const { snapshotId, contentOnly } = order;
  if (object.layout === 'image') return checkObject(object, snapshotId, { how: 'image', device }, services);
  const filesystem = (await probe(device, services.signal)).type ?? '';
  const directory = join(
    order.mountPoint,
    object.partition === null ? snapshotId : `${snapshotId}-${object.partition}`,
  );
  const { host, signal } = services;
  await using mount = await mountReadOnly(device, filesystem, directory, { replay: order.replayJournals, signal });
  using _held = host.hold({ what: `mount at ${directory}`, remedy: `umount ${directory}` });
  const { partition } = object;
  const { path: mountPoint, helper } = mount;
  host.notify({ code: 'partition.mounted', snapshot: snapshotId, partition, filesystem, mountPoint, helper });
  const reference: Reference = { how: 'tar', root: mountPoint, contentOnly, filesystem };
  return await checkObject(object, snapshotId, reference, services);
}

/** Partitions of the disk that no object holds, and that are not of the kind that is only recorded: whatever is recorded. */
async function missingPartitions({ objects, disk }: CheckOrder, signal: AbortSignal): Promise<Difference[]> {
  const { device, table } = disk;
  if (objects.some(({ partition }) => partition === null)) return [];
  if (table.kind === 'none') return (await mayBeLeftOut(device.path, signal)) ? [] : [nothingOf('the disk')];
  const held = new Set(objects.map(({ partition }) => partition));
  const missing: Difference[] = [];
  for (const partition of table.partitions.filter(({ number }) => !held.has(number))) {
    await using opened = await openPartition(device.path, partition, signal);
    if (!(await mayBeLeftOut(opened.path, signal))) missing.push(nothingOf(`partition ${partition.number}`));
  }
  return missing;
}

const mayBeLeftOut = async (device: string, signal: AbortSignal): Promise<boolean> =>
  treatmentOf(await probe(device, signal)).how === 'record';

export const nothingOf = (what: string): Difference => ({
  kind: 'not-in-archive',
  path: '',
  detail: `the archive has nothing of ${what}`,
});
