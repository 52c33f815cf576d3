/** Detaches and deletes temporary volumes. */
import type { Instance, Volume, Volumes } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { Host } from '../../events.ts';
import { minutes } from '../../lib/clock.ts';
import { cleanupError, cleanupSignal } from '../../lib/disposal.ts';
import { GiB } from '../../lib/units.ts';
import { waitFor } from '../../lib/wait.ts';
import { waitForDevice } from '../devices/block-devices.ts';
import { endStaleUse } from './stale-use.ts';
import { mountNameOfVolume, subjectOf } from './volume-marks.ts';

export interface ReleaseOptions {
  volumes: Volumes;
  instance: Pick<Instance, 'id'>;
  host: Host;
  /** Whether to detach the volume but keep it for a later run. */
  keep: boolean;
  /** The directory that contains the mount points of partitions. */
  mountPoint: string;
  /** Called before each step: whether another run on this machine uses the volume by now. */
  isUsedByOther: () => Promise<boolean>;
  /** Milliseconds to wait for each change of state. */
  waitLimit: number;
}

/** Matches the name itself and the names of partitions, which end in `-2` for partition 2. */
export const mountPointsOf = (name: string): RegExp => new RegExp(`^${name}(-\\d+)?$`);

/**
 * Releases what a killed run has left: mounts, partition loop devices, the attachment to this instance, and the volume.
 * Only the holder of the snapshot's claim may call it.
 * @throws SnapError `CLEANUP_FAILED` with what is left and how to remove it.
 */
export async function releaseLeftoverVolume(volume: Volume, options: ReleaseOptions): Promise<void> {
  const attachment = volume.attachments.find(
    ({ instanceId, state }) => instanceId === options.instance.id && state !== 'detached',
  );
  if (attachment) {
    const everAttached = attachment.state !== 'attaching';
    if (attachment.state === 'attached') {
      const within = { signal: cleanupSignal(), within: options.waitLimit };
      const found = await waitForDevice(volume.id, attachment.device, volume.sizeGiB * GiB, within);
      // A matching name and size may belong to another disk, whose mounts must not be touched.
      const device = found.identifiedBy === 'serial' ? found.path : null;
      await endStaleUse(device, options.mountPoint, mountPointsOf(mountNameOfVolume(volume)));
    }
    await releaseAttachment(volume.id, subjectOf(volume), options, { everAttached });
  }
  await releaseVolume(volume.id, subjectOf(volume), { ...options, keep: false });
}

/**
 * Detaches a volume and waits until it is detached.
 * @param state an attachment that was never completed must be detached with force. It has no data to flush.
 * @throws SnapError `CLEANUP_FAILED`
 */
export async function releaseAttachment(
  volumeId: string,
  snapshotId: string,
  options: ReleaseOptions,
  state: { everAttached: boolean },
): Promise<void> {
  const { volumes, instance, host } = options;
  if (await options.isUsedByOther()) return;
  const signal = cleanupSignal(options.waitLimit + minutes(1));
  try {
    await volumes.detach(volumeId, instance.id, { signal, force: !state.everAttached });
    await waitFor(() => checkDetached(volumeId, volumes, signal), {
      what: `${volumeId} to detach`,
      within: options.waitLimit,
      signal,
    });
    host.notify({ code: 'volume.detached', snapshot: snapshotId, volume: volumeId });
  } catch (cause) {
    throw cleanupError(
      `the attachment of ${volumeId} (of ${snapshotId})`,
      `unmount its filesystems, then: aws ec2 detach-volume --volume-id ${volumeId}`,
      cause,
    );
  }
}

async function checkDetached(volumeId: string, volumes: Volumes, signal: AbortSignal) {
  const volume = await volumes.get(volumeId, { signal });
  const free = volume === null || (volume.state !== 'in-use' && volume.attachments.length === 0);
  const seen = volume?.attachments[0]?.state ?? volume?.state ?? 'gone';
  return { verdict: free ? ('done' as const) : ('again' as const), value: volume, seen };
}

export async function releaseVolume(volumeId: string, snapshotId: string, options: ReleaseOptions): Promise<void> {
  if (await options.isUsedByOther()) return;
  if (options.keep) {
    options.host.notify({ code: 'volume.kept', snapshot: snapshotId, volume: volumeId });
    return;
  }
  try {
    const signal = cleanupSignal(options.waitLimit + minutes(1));
    await waitFor(() => tryDelete(volumeId, options.volumes, signal), {
      what: `${volumeId} to become deletable`,
      within: options.waitLimit,
      signal,
    });
    options.host.notify({ code: 'volume.deleted', snapshot: snapshotId, volume: volumeId });
  } catch (cause) {
    const cleanupCommand = `delete it once it is detached: aws ec2 delete-volume --volume-id ${volumeId}`;
    throw cleanupError(`volume ${volumeId} (of ${snapshotId}), which is billed`, cleanupCommand, cause);
  }
}

/**
 * Tries to delete a volume. One that is being created or was just detached cannot be deleted yet.
 * @throws SnapError `VOLUME_FAILED` if the volume stays attached.
 */
async function tryDelete(volumeId: string, volumes: Volumes, signal: AbortSignal) {
  const deleted = await volumes.delete(volumeId, { signal });
  const attachments = deleted ? [] : ((await volumes.get(volumeId, { signal }))?.attachments ?? []);
  const remaining = attachments.find(({ state }) => state === 'attached' || state === 'busy');
  if (remaining) throw new SnapError('VOLUME_FAILED', `${volumeId} is still attached to ${remaining.instanceId}`);
  return { verdict: deleted ? ('done' as const) : ('again' as const), value: deleted, seen: 'not deletable' };
}
