/** What a new volume is to hold, made out of the manifest before anything is created. */
import type { Manifest, ManifestDisk, ManifestObject } from '../../../archive/manifest.ts';
import { nameOfPart } from '../../../archive/partition-facts.ts';
import { SnapError } from '../../../errors.ts';
import { planTable, type TablePlan } from '../../../host/disks/make-table.ts';
import type { Partition } from '../../../host/disks/partition-table.ts';
import { FAT_FILLERS } from '../../../host/filesystems/fill-fat.ts';
import { checkWanted, makersOf, type WantedFilesystem } from '../../../host/filesystems/make-filesystem.ts';
import { isInKernel } from '../../../host/filesystems/mounts.ts';
import { GiB } from '../../../lib/units.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import { sizeOfDisk } from '../../reading/image-size.ts';
import { openManifest } from '../../reading/open-manifest.ts';
import type { Services } from '../../shared/services.ts';
import { snapshotBefore } from '../restored-tags.ts';
import type { FilesToFit } from '../volume-obstacle.ts';

/** What comes to one partition, or (`null`) to the whole disk. */
export interface PartitionFill {
  partition: Partition | null;
  content:
    | { how: 'image'; object: ArchivedObject }
    | ({ how: 'files'; object: ArchivedObject } & Omit<FilesToFit, 'partition'>)
    | { how: 'swap'; filesystem: WantedFilesystem };
}

export interface VolumePlan {
  sizeGiB: number;
  /** Of the old disk. */
  diskBytes: number;
  /** The old snapshot, with all its tags; `null` for archives of version 0. */
  before: Manifest['snapshot'] | null;
  /** `null` where there is no partition table, or the image has it. */
  table: TablePlan | null;
  bootCode: Buffer;
  bootGap: Buffer;
  fills: PartitionFill[];
  /** Why it will not boot by itself, as far as can be told; else `null`. */
  obstacleToBoot: string | null;
  /** Programs that are needed. */
  tools: string[];
}

/**
 * @throws SnapError `NOT_FOUND` for an archive that holds no whole disk, `MANIFEST` for a manifest that cannot be used,
 *   `GPG_KEY` where it is sealed and cannot be opened.
 */
export async function planVolume(
  archive: Archive,
  sessionKey: string | null,
  services: Services,
  signal: AbortSignal,
): Promise<VolumePlan> {
  const image = archive.objects.find(({ layout, partition }) => layout === 'image' && partition === null);
  const sizeGiB = await sizeOfDisk(archive, { ...services, signal });
  const nothing = { table: null, bootCode: NONE, bootGap: NONE, obstacleToBoot: null };
  if (image) {
    const fills: PartitionFill[] = [{ partition: null, content: { how: 'image', object: image } }];
    const before = await snapshotBefore(archive, sessionKey, signal);
    return { ...nothing, sizeGiB, diskBytes: sizeGiB * GiB, before, fills, tools: [] };
  }
  if (!archive.manifest) {
    throw new SnapError(
      'NOT_FOUND',
      `the archive of ${archive.snapshotId} does not tell how the disk was partitioned`,
      {
        hint: 'archives of version 0 hold files only: make the filesystems, then restore them with --to-dir',
      },
    );
  }
  const manifest = await openManifest(archive.manifest, archive.snapshotId, signal);
  const diskBytes = manifest.disk.bytes;
  return { sizeGiB, diskBytes, before: manifest.snapshot, ...planDisk(archive.objects, manifest) };
}

const NONE = Buffer.alloc(0);

type DiskPlan = Omit<VolumePlan, 'sizeGiB' | 'diskBytes' | 'before'>;

function planDisk(objects: readonly ArchivedObject[], { disk, ...manifest }: Manifest): DiskPlan {
  const table = disk.table === 'none' ? null : planTable(disk.partitionTable, disk.bytes);
  const facts = new Map(manifest.objects.map((object) => [object.key, object]));
  const stored = objects.map((object): PartitionFill => {
    const known = facts.get(object.key) ?? UNKNOWN;
    const {
      filesystem = null,
      uuid = null,
      label = null,
      geometry = null,
      contentBytes = null,
      roomBytes = null,
    } = known;
    const partition = placeOf(object.partition, table);
    if (object.layout === 'tar') {
      const wanted = { type: filesystem ?? '', uuid, label, geometry };
      return { partition, content: { how: 'files', object, filesystem: wanted, contentBytes, roomBytes } };
    }
    const room = partition?.size ?? disk.bytes;
    if ((object.facts?.plainBytes ?? 0) > room) throw damaged(`${object.key} is larger than its partition`);
    return { partition, content: { how: 'image', object } };
  });
  const swaps = (manifest.recorded ?? []).map(({ partition, filesystem, uuid, label }): PartitionFill => {
    const wanted = { type: filesystem ?? '', uuid, label, geometry: null };
    return { partition: placeOf(partition, table), content: { how: 'swap', filesystem: wanted } };
  });
  const fills = [...stored, ...swaps];
  assertNoGaps(fills, table);
  return { table, fills, ...bootOf(disk, fills), tools: toolsFor(fills, table) };
}

const UNKNOWN: Partial<ManifestObject> = {};

const damaged = (what: string): SnapError =>
  new SnapError('MANIFEST', `the disk cannot be made anew: ${what}`, {
    hint: 'restore what is there with --to-dir and --to-file',
  });

function placeOf(number: number | null, table: TablePlan | null): Partition | null {
  if (number === null && table === null) return null;
  const found = table?.partitions.find((partition) => partition.number === number);
  if (found) return found;
  throw damaged(
    number === null ? 'files of a disk that has partitions' : `there is no partition ${number} in its table`,
  );
}

/** Each partition gets what it had, once. */
function assertNoGaps(fills: readonly PartitionFill[], table: TablePlan | null): void {
  const given = fills.map(({ partition }) => partition?.number ?? null);
  const had = table ? table.partitions.map(({ number }) => number) : [null];
  const wrong = [
    ...had.filter((number) => !given.includes(number)),
    ...given.filter((n, at) => given.indexOf(n) !== at),
  ];
  const [first] = wrong;
  if (first !== undefined) throw damaged(`the archive has no content, or more than one, for ${nameOfPart(first)}`);
}

const BOOT_CODE_BYTES = 446;

/** Where the beginning of a disk is part of a filesystem, only ext leaves it to boot loaders. */
function bootOf(
  disk: ManifestDisk,
  fills: readonly PartitionFill[],
): Pick<VolumePlan, 'bootCode' | 'bootGap' | 'obstacleToBoot'> {
  const [first] = fills;
  const isFree =
    disk.table !== 'none' || (first?.content.how === 'files' && first.content.filesystem.type.startsWith('ext'));
  const bootCode = isFree ? Buffer.from(disk.bootCode ?? '', 'base64').subarray(0, BOOT_CODE_BYTES) : NONE;
  const firstByte = Math.min(...fills.map(({ partition }) => partition?.start ?? 0));
  const bootGap = disk.table === 'dos' ? Buffer.from(disk.bootGap ?? '', 'base64') : NONE;
  if (bootGap.length > 0 && SECTOR + bootGap.length > firstByte)
    throw damaged('its boot code reaches into a partition');
  const isCut = disk.table === 'dos' && disk.bootGap === undefined && bootCode.some((byte) => byte !== 0);
  return { bootCode, bootGap, obstacleToBoot: isCut ? WITHOUT_GAP : null };
}

const SECTOR = 512;

const WITHOUT_GAP =
  'an earlier version archived it without what boot loaders keep between the first sector and the first partition; ' +
  'run grub-install on it';

/** @throws SnapError `NOT_FOUND` for filesystems that nothing here makes. */
function toolsFor(fills: readonly PartitionFill[], table: TablePlan | null): string[] {
  const tools = new Set(['blkid', 'blockdev', ...(table ? ['sfdisk', 'losetup'] : [])]);
  for (const { content } of fills) {
    if (content.how === 'image') continue;
    const { type } = content.filesystem;
    const makers = makersOf(type);
    if (makers.length === 0) {
      throw new SnapError('NOT_FOUND', `a filesystem of type ${type} cannot be made here as it was`, {
        hint: 'restore its files with --to-dir',
      });
    }
    checkWanted(content.filesystem);
    for (const tool of makers) tools.add(tool);
    if (content.how === 'files') for (const tool of fillersOf(type)) tools.add(tool);
  }
  return [...tools];
}

const fillersOf = (type: string): string[] => [
  ...['tar', 'mount', 'umount', 'sync'],
  ...(type === 'vfat' && !isInKernel(type) ? FAT_FILLERS : []),
];
