/** Finds the parts of a disk that an archive does not contain. */
import { nameOfPart } from '../../archive/partition-facts.ts';
import { openPartition } from '../../host/disks/partition-device.ts';
import { probe } from '../../host/filesystems/filesystems.ts';
import { treatmentOn } from '../../host/filesystems/outside-filesystem.ts';
import type { Difference } from '../../streams/difference.ts';
import type { ArchivedObject } from '../reading/find-archive.ts';
import type { Disk } from '../source/read-disk.ts';

/** Finds partitions without an object, except those that are only recorded. It does not trust `recorded` in the manifest. */
export async function unarchivedPartitions(
  objects: readonly ArchivedObject[],
  { device, table }: Disk,
  signal: AbortSignal,
): Promise<Difference[]> {
  const wholes = objects.filter(({ partition }) => partition === null);
  if (wholes.some(({ layout }) => layout === 'image')) return [];
  // An ambiguous disk must be stored as one image: files would cover only one interpretation of it.
  if (table.doubt !== null) return [nothingOf(`an image of the whole disk, which is required because ${table.doubt}`)];
  if (wholes.length > 0) return [];
  if (table.kind === 'none') return (await mayBeLeftOut(device.path, signal)) ? [] : [nothingOf(nameOfPart(null))];
  const held = new Set(objects.map(({ partition }) => partition));
  const missing: Difference[] = [];
  for (const partition of table.partitions.filter(({ number }) => !held.has(number))) {
    await using opened = await openPartition(device.path, partition, signal);
    if (!(await mayBeLeftOut(opened.path, signal))) missing.push(nothingOf(nameOfPart(partition.number)));
  }
  return missing;
}

const mayBeLeftOut = async (device: string, signal: AbortSignal): Promise<boolean> =>
  (await treatmentOn(device, await probe(device, signal), signal)).how === 'record';

export const nothingOf = (what: string): Difference => ({
  kind: 'not-in-archive',
  path: '',
  detail: `the archive does not contain ${what}`,
});
