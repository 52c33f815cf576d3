/** What a manifest says of a disk. */
import type { Manifest } from '../../archive/manifest.ts';
import { comparableTable, nameOfPart, tableFacts } from '../../archive/partition-facts.ts';
import { openPartition } from '../../host/disks/partition-device.ts';
import { isExtended } from '../../host/disks/partition-table.ts';
import { probe, treatmentOf } from '../../host/filesystems/filesystems.ts';
import type { Difference } from '../../streams/difference.ts';
import type { Disk } from '../source/read-disk.ts';
import { nothingOf } from './unarchived-partitions.ts';

/** What it names itself, and has no object of. A sealed one does not show its partition table. */
export function unarchivedByManifest({ disk, objects, recorded = [] }: Manifest): Difference[] {
  const held = new Set(objects.map(({ partition }) => partition));
  if (held.has(null)) return [];
  const isLeftOut = (filesystem: string | null) => treatmentOf({ type: filesystem, usage: null }).how === 'record';
  const leftOut = recorded.filter(({ filesystem }) => isLeftOut(filesystem)).map(({ partition }) => partition);
  const named = [...partitionsIn(disk), ...recorded.map(({ partition }) => partition)];
  const isEmpty = held.size === 0 && named.length === 0 && disk.partitionTable === null;
  const missing = new Set(isEmpty ? [null] : named.filter((part) => !held.has(part) && !leftOut.includes(part)));
  return [...missing].map((part) => nothingOf(nameOfPart(part)));
}

const partitionsIn = ({ bytes, table, partitionTable }: Manifest['disk']): number[] =>
  tableFacts(partitionTable)
    .partitions.filter(({ type }) => table !== 'dos' || !isExtended(type ?? ''))
    .filter(({ start }) => start === null || start < bytes)
    .map(({ number }) => number);

/**
 * What a disk is made anew of, against the disk. The image of a disk holds all of that itself.
 * @param manifest unsealed.
 */
export async function compareWithManifest(manifest: Manifest, disk: Disk, signal: AbortSignal): Promise<Difference[]> {
  const { objects, recorded = [] } = manifest;
  if (objects.some(({ layout, partition }) => layout === 'image' && partition === null)) return [];
  const differences = compareTable(manifest, disk);
  const made = [...objects.filter(({ layout }) => layout === 'tar'), ...recorded];
  for (const known of made) differences.push(...(await compareFilesystem(known, disk, signal)));
  return differences;
}

function compareTable({ disk: known, objects }: Manifest, { device, table }: Disk): Difference[] {
  const found = [
    difference('size of the disk', known.bytes, device.size),
    difference('sector size', known.sectorBytes, table.sectorBytes),
    difference('type of the partition table', known.table, table.kind),
  ];
  if (table.kind !== 'none') {
    found.push(difference('partition table', comparableTable(known.partitionTable), comparableTable(table.json)));
  }
  // Elsewhere, the beginning of a disk without partitions belongs to its filesystem.
  if (table.kind !== 'none' || objects.some(({ filesystem }) => filesystem?.startsWith('ext'))) {
    found.push(difference('boot code', known.bootCode, table.bootCode.toString('base64')));
  }
  if (known.bootGap !== undefined) {
    const gap = table.bootGap?.toString('base64') ?? null;
    found.push(difference('boot code behind the first sector', known.bootGap, gap));
  }
  return found.flat();
}

type KnownFilesystem = Pick<Manifest['recorded'][number], 'partition' | 'filesystem' | 'uuid' | 'label'>;

/** A partition that the disk has not is a difference of the tables. */
async function compareFilesystem(known: KnownFilesystem, disk: Disk, signal: AbortSignal): Promise<Difference[]> {
  const { device, table } = disk;
  const partition = table.partitions.find(({ number }) => number === known.partition);
  if (known.partition !== null && !partition) return [];
  await using opened = partition ? await openPartition(device.path, partition, signal) : null;
  const found = await probe(opened?.path ?? device.path, signal);
  const where = known.partition === null ? '' : ` of partition ${known.partition}`;
  return [
    ...difference(`type of the filesystem${where}`, known.filesystem, found.type),
    ...difference(`UUID of the filesystem${where}`, known.uuid, found.uuid),
    ...difference(`label of the filesystem${where}`, known.label, found.label),
  ];
}

/** Earlier versions left fields out that are nothing. */
const difference = (what: string, inManifest: unknown, onDisk: unknown): Difference[] =>
  (inManifest ?? null) === onDisk
    ? []
    : [{ kind: 'disk', path: '', detail: `the ${what} does not match the manifest` }];
