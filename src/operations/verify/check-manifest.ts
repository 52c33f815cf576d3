/** Compares the description of a disk in the manifest with the disk and with the objects of the archive. */
import type { Manifest } from '../../archive/manifest.ts';
import { comparableTable, nameOfPart, tableFacts } from '../../archive/partition-facts.ts';
import { isExtended } from '../../host/disks/mbr.ts';
import { openPartition } from '../../host/disks/partition-device.ts';
import { probe, treatmentOf } from '../../host/filesystems/filesystems.ts';
import type { Difference } from '../../streams/difference.ts';
import type { Disk } from '../source/read-disk.ts';
import { nothingOf } from './unarchived-partitions.ts';

/** Partitions that the manifest describes but that have no object. A sealed manifest does not show its partition table. */
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
 * Compares the facts from which a disk is recreated with the disk. An image of the whole disk contains them itself.
 * @param manifest the manifest after its sealed part was opened.
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
  // On a disk without a partition table, the first sector belongs to the filesystem, unless that is ext.
  if (table.kind !== 'none' || objects.some(({ filesystem }) => filesystem?.startsWith('ext'))) {
    found.push(difference('boot code', known.bootCode, table.bootCode.toString('base64')));
  }
  if (known.bootGap !== undefined) {
    const gap = table.bootGap?.toString('base64') ?? null;
    found.push(difference('boot code after the first sector', known.bootGap, gap));
  }
  return found.flat();
}

type KnownFilesystem = Pick<Manifest['recorded'][number], 'partition' | 'filesystem' | 'uuid' | 'label'>;

/** Ignores partitions that the disk does not have: the comparison of the tables reports them. */
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

/** A missing field counts as `null`, because earlier versions omitted empty fields. */
const difference = (what: string, inManifest: unknown, onDisk: unknown): Difference[] =>
  (inManifest ?? null) === onDisk
    ? []
    : [{ kind: 'disk', path: '', detail: `the ${what} does not match the manifest` }];
