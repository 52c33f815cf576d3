/** Provides a snapshot as a block device by means of a temporary EBS volume. */

import type { NewVolume, Snapshot, Volume } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { LocatedDevice } from '../devices/block-devices.ts';
import {
  type AttachOptions,
  attachDevice,
  attachmentHere,
  isWrongDevice,
  type Proving,
  waitUntilUsable,
} from './attach-device.ts';
import { releaseLeftoverVolume, releaseVolume } from './release-volume.ts';
import { ARCHIVES_TAG } from './volume-marks.ts';

export interface TemporaryVolumeOptions extends AttachOptions {
  /** Key of the tag that marks temporary volumes. */
  tagKey: string;
  volumeType: string;
  kmsKeyId: string | undefined;
  /** Volumes are reused only for the same purpose, because an image must come from a volume that was never mounted. */
  purpose: 'tar' | 'image';
  clientToken: string;
  /**
   * Checks that the device belongs to the snapshot.
   * @param isReused whether an earlier run may have mounted the volume.
   * @returns whether the identity of the device is certain.
   * @throws if the device belongs to something else.
   */
  prove: (device: LocatedDevice, isReused: boolean) => Promise<boolean>;
}

export interface TemporaryVolume extends AsyncDisposable {
  volumeId: string;
  device: LocatedDevice;
}

/**
 * Creates or reuses a volume and attaches it. Disposing of it releases both. A volume that cannot be reused is deleted.
 * @throws SnapError `SNAPSHOT_UNUSABLE`, `VOLUME_FAILED`, `NO_DEVICE_NAME`, `ATTACH_STUCK` or `DEVICE_NOT_FOUND`, or
 * what `prove` throws for a new volume, in each case after everything has been cleaned up.
 */
export async function attachTemporaryVolume(
  snapshot: Snapshot,
  options: TemporaryVolumeOptions,
): Promise<TemporaryVolume> {
  const [reusable, ...surplus] = await findReusable(snapshot, options);
  // A run that was killed between two steps can leave a second volume.
  for (const volume of surplus) await releaseLeftoverVolume(volume, options);
  const reused = reusable && (await reuseVolume(reusable, snapshot, options));
  return reused ?? (await attachNewVolume(snapshot, options));
}

const PURPOSE_TAG = 'snap-to-s3-purpose';

/** Value of the tag on temporary volumes. Version 0 used the same one. */
export const IN_PROGRESS = 'in-progress';

/** @returns `null` if the volume cannot be reused. Then it has been deleted, even if volumes are kept. */
async function reuseVolume(
  volume: Volume,
  snapshot: Snapshot,
  options: TemporaryVolumeOptions,
): Promise<TemporaryVolume | null> {
  let unfit: SnapError | null = null;
  const prove = async (device: LocatedDevice) => {
    try {
      if (options.purpose === 'tar' && device.identifiedBy === 'name') throw notIdentified(volume.id, device);
      return await options.prove(device, true);
    } catch (error) {
      if (!isWrongDevice(error)) throw error;
      unfit = error;
      options.host.notify({
        code: 'volume.discarded',
        snapshot: snapshot.id,
        volume: volume.id,
        reason: error.message,
      });
      throw error;
    }
  };
  try {
    const isKept = () => options.keep && unfit === null;
    return await attachOwnVolume({ volume, code: 'volume.reused', prove, isKept }, snapshot, options);
  } catch (error) {
    // This is another error if the clean-up has failed as well.
    if (error !== unfit) throw error;
    return null;
  }
}

/** An earlier run may have replayed journals, so the comparison with the snapshot cannot replace the serial number. */
const notIdentified = (volumeId: string, { path }: LocatedDevice): SnapError =>
  new SnapError(
    'WRONG_DEVICE',
    `an earlier run may have changed it, and it is identified only by its device name, ${path}`,
    {
      hint: `delete it: aws ec2 delete-volume --volume-id ${volumeId}`,
    },
  );

async function attachNewVolume(snapshot: Snapshot, options: TemporaryVolumeOptions): Promise<TemporaryVolume> {
  const { host, volumes, signal } = options;
  signal.throwIfAborted();
  const { availabilityZone } = options.instance;
  host.notify({ code: 'volume.requested', snapshot: snapshot.id, type: options.volumeType, availabilityZone });
  const volume = await volumes.create(newVolume(snapshot, options), { signal });
  const prove = (device: LocatedDevice) => options.prove(device, false);
  return attachOwnVolume({ volume, code: 'volume.created', prove, isKept: () => options.keep }, snapshot, options);
}

interface OwnVolume extends Proving {
  volume: Volume;
  code: 'volume.created' | 'volume.reused';
  /** Asked when the volume is released: whether it is detached but not deleted. */
  isKept: () => boolean;
}

async function attachOwnVolume(
  { volume, code, prove, isKept }: OwnVolume,
  snapshot: Snapshot,
  options: TemporaryVolumeOptions,
): Promise<TemporaryVolume> {
  await using undo = new AsyncDisposableStack();
  const { host } = options;
  undo.use(
    host.hold({
      what: `volume ${volume.id} (of ${snapshot.id})`,
      cleanupCommand: `aws ec2 delete-volume --volume-id ${volume.id}`,
    }),
  );
  undo.defer(() => releaseVolume(volume.id, snapshot.id, { ...options, keep: isKept() }));
  host.notify({ code, snapshot: snapshot.id, volume: volume.id });
  await waitUntilUsable(volume.id, snapshot, options);
  const device = await attachDevice(volume.id, snapshot, { ...options, prove }, undo);
  const cleanup = undo.move();
  return { volumeId: volume.id, device, [Symbol.asyncDispose]: () => cleanup.disposeAsync() };
}

/** Finds volumes of earlier runs, attached ones first. The caller holds the claim, so no other run uses them. */
async function findReusable(snapshot: Snapshot, options: TemporaryVolumeOptions): Promise<Volume[]> {
  const { volumes, instance, tagKey, signal } = options;
  const found = await volumes.ofSnapshot(snapshot.id, tagKey, instance.availabilityZone, { signal });
  const fit = found.filter(
    ({ tags }) =>
      (tags[PURPOSE_TAG] ?? 'tar') === options.purpose && (tags[ARCHIVES_TAG] ?? options.archives) === options.archives,
  );
  const attached = fit.filter((volume) => attachmentHere(volume, instance) !== undefined);
  const loose = fit.filter(({ state }) => state === 'available' || state === 'creating');
  return [...attached, ...loose];
}

const newVolume = (snapshot: Snapshot, options: TemporaryVolumeOptions): NewVolume => ({
  content: { kind: 'snapshot', snapshotId: snapshot.id },
  availabilityZone: options.instance.availabilityZone,
  type: options.volumeType,
  ...(options.kmsKeyId === undefined ? {} : { kmsKeyId: options.kmsKeyId }),
  tags: {
    Name: 'Temp for snap-to-s3',
    [options.tagKey]: IN_PROGRESS,
    [PURPOSE_TAG]: options.purpose,
    [ARCHIVES_TAG]: options.archives,
  },
  clientToken: options.clientToken,
});
