/** Plans the content of a new volume from the manifest, before anything is created. */
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
import { type NeededPack, neededPacks } from '../../reading/point/needed-packs.ts';
import { type OpenPoint, openPoint } from '../../reading/point/open-point.ts';
import type { Services } from '../../shared/services.ts';
import type { RestoreSettings } from '../../shared/settings/restore.ts';
import { snapshotBefore } from '../restored-tags.ts';
import type { FilesToFit } from '../volume-obstacle.ts';

/** The content of one partition, or of the whole disk. */
export interface PartitionFill {
  /** `null` for the whole disk. */
  partition: Partition | null;
  content:
    | { how: 'image'; object: ArchivedObject }
    | { how: 'point'; opened: OpenPoint; packs: readonly NeededPack[] }
    | ({ how: 'files'; object: ArchivedObject } & Omit<FilesToFit, 'partition'>)
    | { how: 'swap'; filesystem: WantedFilesystem };
}

export interface VolumePlan {
  sizeGiB: number;
  /** Size of the original disk. */
  diskBytes: number;
  /** The original snapshot with all its tags; `null` for archives of version 0. */
  before: Manifest['snapshot'] | null;
  /** `null` if there is no partition table, or an image contains it. */
  table: TablePlan | null;
  bootCode: Buffer;
  /** The sectors between the first sector and the first partition. */
  bootGap: Buffer;
  fills: PartitionFill[];
  /** Why the volume will not boot without further work, as far as known; otherwise `null`. */
  obstacleToBoot: string | null;
  /** Required programs. */
  tools: string[];
}

/**
 * @throws SnapError `NOT_FOUND` if the archive does not contain a whole disk, `MANIFEST` if the manifest cannot be used,
 *   `GPG_KEY` if it is sealed and cannot be opened.
 */
export async function planVolume(
  archive: Archive,
  { sessionKey, downloadStreams: streams }: Pick<RestoreSettings, 'sessionKey' | 'downloadStreams'>,
  services: Services,
  signal: AbortSignal,
): Promise<VolumePlan> {
  const image = archive.objects.find(({ layout, partition }) => layout === 'image' && partition === null);
  const sizeGiB = await sizeOfDisk(archive, { ...services, signal });
  const nothing = { table: null, bootCode: NONE, bootGap: NONE, obstacleToBoot: null };
  const opened = archive.point && (await openPoint(archive.point, { ...services, signal, streams, sessionKey }));
  const whole: PartitionFill['content'] | null = opened
    ? { how: 'point', opened, packs: neededPacks(opened) }
    : image
      ? { how: 'image', object: image }
      : null;
  if (whole) {
    const fills: PartitionFill[] = [{ partition: null, content: whole }];
    const before = await snapshotBefore(archive, sessionKey, signal);
    return { ...nothing, sizeGiB, diskBytes: sizeGiB * GiB, before, fills, tools: [] };
  }
  if (!archive.manifest) {
    throw new SnapError(
      'NOT_FOUND',
      `the archive of ${archive.snapshotId} does not record the partition table of the disk`,
      {
        hint: 'it is an archive of version 0, which contains only files: create the filesystems yourself, and restore the files with --to-dir',
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
  const swaps = (manifest.recorded ?? []).map(({ partition, geometry = null, ...names }): PartitionFill => {
    const wanted = { type: names.filesystem ?? '', uuid: names.uuid, label: names.label, geometry };
    return { partition: placeOf(partition, table), content: { how: 'swap', filesystem: wanted } };
  });
  const fills = [...stored, ...swaps];
  assertOneContentEach(fills, table);
  return { table, fills, ...bootOf(disk, fills), tools: toolsFor(fills, table) };
}

const UNKNOWN: Partial<ManifestObject> = {};

const damaged = (what: string): SnapError =>
  new SnapError('MANIFEST', `the disk cannot be recreated: ${what}`, {
    hint: 'restore the content of the archive with --to-dir and --to-file',
  });

function placeOf(number: number | null, table: TablePlan | null): Partition | null {
  if (number === null && table === null) return null;
  const found = table?.partitions.find((partition) => partition.number === number);
  if (found) return found;
  throw damaged(
    number === null
      ? 'an object has no partition number, although the disk has a partition table'
      : `its partition table has no partition ${number}`,
  );
}

/** @throws SnapError `MANIFEST` unless each partition has exactly one content. */
function assertOneContentEach(fills: readonly PartitionFill[], table: TablePlan | null): void {
  const planned = fills.map(({ partition }) => partition?.number ?? null);
  const expected = table ? table.partitions.map(({ number }) => number) : [null];
  const wrong = [
    ...expected.filter((number) => !planned.includes(number)),
    ...planned.filter((n, at) => planned.indexOf(n) !== at),
  ];
  const [first] = wrong;
  if (first !== undefined) throw damaged(`the manifest must describe ${nameOfPart(first)} exactly once`);
}

const BOOT_CODE_BYTES = 446;

/** On a disk without a partition table, only ext filesystems leave the first sectors to boot loaders. */
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
  if (bootGap.length > 0 && SECTOR + bootGap.length > firstByte) throw damaged('its boot code overlaps a partition');
  const isCut = disk.table === 'dos' && disk.bootGap === undefined && bootCode.some((byte) => byte !== 0);
  return { bootCode, bootGap, obstacleToBoot: isCut ? WITHOUT_GAP : null };
}

const SECTOR = 512;

const WITHOUT_GAP =
  'an earlier version of snap-to-s3 archived the disk without the sectors between the first sector and the first ' +
  'partition, in which boot loaders keep code; run grub-install for the volume';

/** @throws SnapError `NOT_FOUND` if this program cannot create a filesystem. */
function toolsFor(fills: readonly PartitionFill[], table: TablePlan | null): string[] {
  const tools = new Set(['blkid', 'blockdev', ...(table ? ['sfdisk', 'losetup'] : [])]);
  for (const { content } of fills) {
    if (content.how === 'image' || content.how === 'point') continue;
    const { type } = content.filesystem;
    const makers = makersOf(type);
    if (makers.length === 0) {
      throw new SnapError('NOT_FOUND', `snap-to-s3 cannot create filesystems of type ${type}`, {
        hint: 'create the filesystem yourself, and restore its files with --to-dir',
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
