/** Restores a disk to a new EBS volume, with the partitions, filesystems, files and boot code of the original. */
import { randomUUID } from 'node:crypto';
import { SnapError } from '../../../errors.ts';
import { makeTable, tryMakingTable, writeBootCode } from '../../../host/disks/make-table.ts';
import { openPartition } from '../../../host/disks/partition-device.ts';
import type { Simplification } from '../../../host/filesystems/make-filesystem.ts';
import { requireTools } from '../../../host/tools.ts';
import { createEmptyVolume } from '../../../host/volumes/new-volume.ts';
import { releaseLeftoverVolume } from '../../../host/volumes/release-volume.ts';
import { IN_PROGRESS } from '../../../host/volumes/temporary-volume.ts';
import { ARCHIVES_TAG, isAbandoned, restoreTags } from '../../../host/volumes/volume-marks.ts';
import { GiB } from '../../../lib/units.ts';
import { lengthOf } from '../../../transfer/download.ts';
import { runTool } from '../../../transfer/run-tool.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import { packAsObject, packStream } from '../../reading/point/pack-stream.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { requireRoot } from '../../shared/preflight.ts';
import type { Services } from '../../shared/services.ts';
import type { RestoreSettings, VolumeTarget } from '../../shared/settings/restore.ts';
import { archivesMark } from '../../sharing/claimed-work.ts';
import { makeReadable } from '../../thaw/thaw.ts';
import { userTags } from '../restored-tags.ts';
import { assertRestorable } from '../volume-obstacle.ts';
import { type FillOrder, fillPartition } from './fill-partition.ts';
import { planVolume, type VolumePlan } from './plan-volume.ts';

/** Checks this machine before the archive is read. @throws SnapError `NOT_SUPPORTED_HERE`, `NOT_ON_INSTANCE` */
export async function requireVolumes({ instance }: Services): Promise<void> {
  requireRoot();
  await instance();
}

/**
 * Keeps the volume only if its whole content is verified; otherwise deletes it.
 * @throws SnapError `DIFFERS`, `TARGET`, and the errors of `planVolume`, `createEmptyVolume` and `writeObject`.
 */
export async function restoreToVolume(
  archive: Archive,
  target: VolumeTarget,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { snapshotId } = archive;
  const { plan, sizeGiB, encrypted } = await planNewVolume(archive, target, settings, services, signal);
  const keys = plannedObjects(plan, snapshotId).map(({ object: { key } }) => key);
  await makeReadable(snapshotId, keys, settings.thaw, { ...services, signal });
  const instance = await services.instance();
  const options = {
    ...target,
    volumes: services.volumes,
    instance,
    host: services.host,
    signal,
    keep: false,
    archives: archivesMark(services, settings.prefix),
    isUsedByOther: async () => false,
    kmsKeyId: settings.kmsKeyArn,
    clientToken: randomUUID(),
  };
  const marks = { [target.tagKey]: IN_PROGRESS, [ARCHIVES_TAG]: options.archives, ...restoreTags(snapshotId) };
  for (const volume of await services.volumes.withTags(marks, null, { signal })) {
    if (isAbandoned(volume, instance)) await releaseLeftoverVolume(volume, options);
  }
  await using volume = await createEmptyVolume({ id: snapshotId, sizeGiB, encrypted }, options);
  const check = { ...services, signal, streams: settings.downloadStreams, sessionKey: settings.sessionKey };
  const order = { snapshotId, volumeId: volume.volumeId, mountPoint: target.mountPoint, settings };
  await fill(plan, volume.device.path, order, check);
  signal.throwIfAborted();
  await volume.keep(tagsFor(snapshotId, plan, target.tagKey, services));
  const { availabilityZone } = instance;
  services.host.notify({
    code: 'volume.restored',
    snapshot: snapshotId,
    volume: volume.volumeId,
    sizeGiB,
    availabilityZone,
  });
  const reason = plan.obstacleToBoot;
  if (reason !== null) services.host.notify({ code: 'boot-loader.missing', snapshot: snapshotId, reason });
}

export interface NewVolumePlan {
  plan: VolumePlan;
  sizeGiB: number;
  encrypted: boolean;
  /** Filesystems that the tools of this machine cannot create with all recorded parameters. */
  simplified: SimplifiedFilesystem[];
}

export interface SimplifiedFilesystem extends Simplification {
  /** `null` for the whole disk. */
  partition: number | null;
  filesystem: string;
}

/**
 * Creates nothing.
 * @throws SnapError `USAGE`, `TOOL_MISSING`, and the errors of `planVolume`, `tryMakingTable` and `assertRestorable`.
 */
export async function planNewVolume(
  archive: Archive,
  target: VolumeTarget,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
): Promise<NewVolumePlan> {
  const { encrypt, kmsKeyArn } = settings;
  const plan = await planVolume(archive, settings, services, signal);
  requireTools(plan.tools, services.searchPath);
  const encrypted = encrypt || kmsKeyArn !== null || plan.before?.encrypted === true;
  const sizeGiB = sizeFor(plan, target);
  if (plan.table) await tryMakingTable(plan.table, sizeGiB * GiB, signal);
  const simplified: SimplifiedFilesystem[] = [];
  for (const { partition, content } of plan.fills) {
    if (content.how !== 'files') continue;
    const disk = { before: plan.diskBytes, now: sizeGiB * GiB };
    const change = await assertRestorable({ ...content, partition }, disk, signal);
    const filesystem = content.filesystem.type;
    if (change) simplified.push({ partition: partition?.number ?? null, filesystem, ...change });
  }
  return { plan, sizeGiB, encrypted, simplified };
}

/** A data object that is read for a new volume. */
interface VolumeObject {
  object: ArchivedObject;
  /** The snapshot that stored it. */
  snapshotId: string;
  /** Stored bytes that are read of a pack; `null` for another object. */
  packBytes: number | null;
}

export const plannedObjects = ({ fills }: VolumePlan, snapshotId: string): VolumeObject[] =>
  fills.flatMap(({ content }): VolumeObject[] => {
    if (content.how === 'swap') return [];
    if (content.how !== 'point') return [{ object: content.object, snapshotId, packBytes: null }];
    return content.packs.map((needed) => ({
      object: packAsObject(needed, content.opened.point),
      snapshotId: needed.list.snapshot,
      packBytes: lengthOf(packStream(needed).extents),
    }));
  });

/** @throws SnapError `USAGE` if the requested size is too small. */
function sizeFor(plan: VolumePlan, { sizeGiB }: VolumeTarget): number {
  if (sizeGiB === null || sizeGiB >= plan.sizeGiB) return sizeGiB ?? plan.sizeGiB;
  throw new SnapError('USAGE', `--volume-size ${sizeGiB} is too small: the original disk has ${plan.sizeGiB} GiB`, {
    hint: `specify at least ${plan.sizeGiB}, or omit --volume-size`,
  });
}

async function fill(plan: VolumePlan, device: string, order: FillOrder, check: ReadContext): Promise<void> {
  const { signal } = check;
  if (plan.table) await makeTable(device, plan.table, signal);
  for (const filling of plan.fills) {
    signal.throwIfAborted();
    if (filling.partition === null) await fillPartition(filling, device, order, check);
    else {
      await using opened = await openPartition(device, filling.partition, signal);
      await fillPartition(filling, opened.path, order, check);
      await runTool(['blockdev', '--flushbufs', opened.path], { signal });
    }
  }
  await writeBootCode(device, plan.bootCode, plan.bootGap);
  await runTool(['blockdev', '--flushbufs', device], { signal });
}

/** Maximum number of tags from the snapshot: EC2 allows 50, of which this program uses some itself. */
const MAX_TAGS = 44;

/** The tags of the original snapshot, and a tag with its id. */
function tagsFor(snapshotId: string, plan: VolumePlan, tagKey: string, { host }: Services): Record<string, string> {
  const before = userTags(plan.before, tagKey);
  const dropped = before.slice(MAX_TAGS).map(([key]) => key);
  const reason = `maximum of ${MAX_TAGS} tags per restored volume`;
  if (dropped.length > 0) host.notify({ code: 'tags.dropped', snapshot: snapshotId, dropped, reason });
  return { ...Object.fromEntries(before.slice(0, MAX_TAGS)), 'snap-to-s3-restored-from': snapshotId };
}
