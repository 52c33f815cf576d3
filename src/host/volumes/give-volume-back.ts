/** The end of temporary volumes: detached, waited for, deleted. */
import type { Instance, Volume, Volumes } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { Host } from '../../events.ts';
import { minutes } from '../../lib/clock.ts';
import { cleanupError, cleanupSignal } from '../../lib/disposal.ts';
import { GiB } from '../../lib/units.ts';
import { waitFor } from '../../lib/wait.ts';
import { waitForDevice } from '../devices/block-devices.ts';
import { endStaleUse } from './stale-use.ts';
import { mountNameOf, subjectOf } from './volume-marks.ts';

export interface GiveBackOptions {
  volumes: Volumes;
  instance: Pick<Instance, 'id'>;
  host: Host;
  /** Leaves the volume, detached, for a later run. */
  keep: boolean;
  /** Partitions are mounted below it. */
  mountPoint: string;
  /** Asked before anything is given back: whether somebody else on this machine uses it now. */
  isTakenAway: () => Promise<boolean>;
  /** Milliseconds that each change of state may take. */
  waitLimit: number;
}

/** The name itself, and with `-2` behind it for partition 2. */
export const mountPointsOf = (name: string): RegExp => new RegExp(`^${name}(-\\d+)?$`);

/**
 * Gives back what a run that was killed has left: mounts, windows, the attachment to this instance, the volume. Only to
 * be called by who has the claim of the snapshot.
 * @throws SnapError `CLEANUP_FAILED` naming what is left and how to remove it by hand.
 */
export async function giveLeftVolumeBack(volume: Volume, options: GiveBackOptions): Promise<void> {
  const attachment = volume.attachments.find(
    ({ instanceId, state }) => instanceId === options.instance.id && state !== 'detached',
  );
  if (attachment) {
    const everAttached = attachment.state !== 'attaching';
    if (attachment.state === 'attached') {
      const within = { signal: cleanupSignal(), within: options.waitLimit };
      const found = await waitForDevice(volume.id, attachment.device, volume.sizeGiB * GiB, within);
      // A name and a size may be those of somebody else's disk, whose mounts are not ours to end.
      const device = found.identifiedBy === 'serial' ? found.path : null;
      await endStaleUse(device, options.mountPoint, mountPointsOf(mountNameOf(volume)));
    }
    await giveAttachmentBack(volume.id, subjectOf(volume), options, { everAttached });
  }
  await giveVolumeBack(volume.id, subjectOf(volume), { ...options, keep: false });
}

/**
 * @param state an attachment that never completed has nothing to flush, and only force ends it.
 */
export async function giveAttachmentBack(
  volumeId: string,
  snapshotId: string,
  options: GiveBackOptions,
  state: { everAttached: boolean },
): Promise<void> {
  const { volumes, instance, host } = options;
  if (await options.isTakenAway()) return;
  const signal = cleanupSignal(options.waitLimit + minutes(1));
  try {
    await volumes.detach(volumeId, instance.id, { signal, force: !state.everAttached });
    await waitFor(() => lookDetached(volumeId, volumes, signal), {
      what: `${volumeId} to detach`,
      within: options.waitLimit,
      signal,
    });
    host.notify({ code: 'volume.detached', snapshot: snapshotId, volume: volumeId });
  } catch (cause) {
    throw cleanupError(
      `the attachment of ${volumeId} (of ${snapshotId})`,
      `unmount what is mounted of it, then: aws ec2 detach-volume --volume-id ${volumeId}`,
      cause,
    );
  }
}

async function lookDetached(volumeId: string, volumes: Volumes, signal: AbortSignal) {
  const volume = await volumes.get(volumeId, { signal });
  const free = volume === null || (volume.state !== 'in-use' && volume.attachments.length === 0);
  const seen = volume?.attachments[0]?.state ?? volume?.state ?? 'gone';
  return { verdict: free ? ('done' as const) : ('again' as const), value: volume, seen };
}

export async function giveVolumeBack(volumeId: string, snapshotId: string, options: GiveBackOptions): Promise<void> {
  if (await options.isTakenAway()) return;
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
 * A volume that is still being created, or only just detached, cannot be deleted yet. One that stays attached never can.
 * @throws SnapError `VOLUME_FAILED` for that one.
 */
async function tryDelete(volumeId: string, volumes: Volumes, signal: AbortSignal) {
  const deleted = await volumes.delete(volumeId, { signal });
  const attachments = deleted ? [] : ((await volumes.get(volumeId, { signal }))?.attachments ?? []);
  const lasting = attachments.find(({ state }) => state === 'attached' || state === 'busy');
  if (lasting) throw new SnapError('VOLUME_FAILED', `${volumeId} is still attached to ${lasting.instanceId}`);
  return { verdict: deleted ? ('done' as const) : ('again' as const), value: deleted, seen: 'not deletable' };
}
