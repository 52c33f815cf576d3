/** Provides a snapshot as a block device by means of a temporary EBS volume. */

import type { Attachment, Instance, Snapshot, Volume } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { GiB } from '../../lib/units.ts';
import { waitFor } from '../../lib/wait.ts';
import { type LocatedDevice, waitForDevice } from '../devices/block-devices.ts';
import { freeDeviceNames } from '../devices/device-names.ts';
import {
  mountPointsOf,
  type ReleaseOptions,
  releaseAttachment,
  releaseLeftoverVolume,
  releaseVolume,
} from './release-volume.ts';
import { endStaleUse } from './stale-use.ts';
import { ARCHIVES_TAG, mountNameFor } from './volume-marks.ts';

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
 * Creates or reuses a volume and attaches it. Disposing of it releases both.
 * @throws SnapError `SNAPSHOT_UNUSABLE`, `VOLUME_FAILED`, `NO_DEVICE_NAME`, `ATTACH_STUCK` or `DEVICE_NOT_FOUND`, or
 * what `prove` throws, in each case after everything has been cleaned up.
 */
export async function attachTemporaryVolume(
  snapshot: Snapshot,
  options: TemporaryVolumeOptions,
): Promise<TemporaryVolume> {
  await using undo = new AsyncDisposableStack();
  const { volume, isReused } = await ownVolume(snapshot, options, undo);
  await waitUntilUsable(volume.id, snapshot, options);
  const prove = (device: LocatedDevice) => options.prove(device, isReused);
  const device = await attachDevice(volume.id, snapshot, { ...options, prove }, undo);
  const cleanup = undo.move();
  return { volumeId: volume.id, device, [Symbol.asyncDispose]: () => cleanup.disposeAsync() };
}

const PURPOSE_TAG = 'snap-to-s3-purpose';

/** Value of the tag on temporary volumes. Version 0 used the same one. */
export const IN_PROGRESS = 'in-progress';

async function ownVolume(
  snapshot: Snapshot,
  options: TemporaryVolumeOptions,
  undo: AsyncDisposableStack,
): Promise<{ volume: Volume; isReused: boolean }> {
  const { host, volumes, signal } = options;
  const [reusable, ...surplus] = await findReusable(snapshot, options);
  // A run that was killed between two steps can leave a second volume.
  for (const volume of surplus) await releaseLeftoverVolume(volume, options);
  if (!reusable) {
    const { availabilityZone } = options.instance;
    host.notify({ code: 'volume.requested', snapshot: snapshot.id, type: options.volumeType, availabilityZone });
  }
  const volume = reusable ?? (await volumes.create(newVolume(snapshot, options), { signal }));
  undo.use(
    host.hold({
      what: `volume ${volume.id} (of ${snapshot.id})`,
      cleanupCommand: `aws ec2 delete-volume --volume-id ${volume.id}`,
    }),
  );
  undo.defer(() => releaseVolume(volume.id, snapshot.id, options));
  host.notify({ code: reusable ? 'volume.reused' : 'volume.created', snapshot: snapshot.id, volume: volume.id });
  return { volume, isReused: reusable !== undefined };
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

const attachmentHere = (volume: Volume, instance: Instance): Attachment | undefined =>
  volume.attachments.find(({ instanceId, state }) => instanceId === instance.id && state !== 'detached');

const newVolume = (snapshot: Snapshot, options: TemporaryVolumeOptions) => ({
  content: { snapshotId: snapshot.id },
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

/** The properties of the snapshot that a volume is created from or will hold. */
export type VolumeSubject = Pick<Snapshot, 'id' | 'sizeGiB' | 'encrypted'>;

export interface AttachOptions extends ReleaseOptions {
  instance: Instance;
  /** The `bucket/prefix` that the volume is used for. Volumes and mounts for others are not touched. */
  archives: string;
  signal: AbortSignal;
}

/** @throws SnapError `VOLUME_FAILED` or `WAIT_TIMEOUT`. */
export async function waitUntilUsable(
  volumeId: string,
  snapshot: VolumeSubject,
  options: AttachOptions,
): Promise<void> {
  const look = async () => {
    const volume = await options.volumes.get(volumeId, { signal: options.signal });
    if (volume?.state === 'error') throw creationFailed(volumeId, snapshot);
    const attachment = volume && attachmentHere(volume, options.instance);
    const usable = volume?.state === 'available' || (attachment && attachment.state !== 'detaching');
    return {
      verdict: usable ? ('done' as const) : ('again' as const),
      value: volume,
      seen: attachment?.state ?? volume?.state ?? 'not found',
    };
  };
  await waitFor(look, {
    what: `${volumeId} (of ${snapshot.id}) to become available`,
    within: options.waitLimit,
    signal: options.signal,
    hint: snapshot.encrypted
      ? KMS_HINT
      : 'check the state of the volume in the EC2 console and the AWS Health Dashboard',
  });
}

/** EC2 accepts a key that it may not use. The volume fails afterwards. */
const KMS_HINT =
  'allow this role to use the KMS key of the snapshot (kms:Decrypt, kms:CreateGrant) and of --kms-key-id';

const creationFailed = (volumeId: string, snapshot: VolumeSubject): SnapError =>
  new SnapError('VOLUME_FAILED', `${volumeId} (of ${snapshot.id}) entered the error state while it was being created`, {
    hint: `probably a KMS permission: ${KMS_HINT}`,
  });

interface Proving {
  /** Checks a device before anything is done with it. @returns whether the identity of the device is certain */
  prove: (device: LocatedDevice) => Promise<boolean>;
}

/**
 * Attaches a volume and waits for its device.
 * @param undo receives the clean-up of the attachment.
 * @throws SnapError `NO_DEVICE_NAME`, `ATTACH_STUCK`, `DEVICE_NOT_FOUND` or `WRONG_DEVICE`.
 */
export async function attachDevice(
  volumeId: string,
  snapshot: VolumeSubject,
  options: AttachOptions & Proving,
  undo: AsyncDisposableStack,
): Promise<LocatedDevice> {
  const { host, signal } = options;
  const already = attachmentHere((await options.volumes.get(volumeId, { signal })) ?? NO_VOLUME, options.instance);
  undo.use(
    host.hold({
      what: `attachment of ${volumeId} to ${options.instance.id}`,
      cleanupCommand: `aws ec2 detach-volume --volume-id ${volumeId}`,
    }),
  );
  const state = { everAttached: already !== undefined && already.state !== 'attaching' };
  undo.defer(() => releaseAttachment(volumeId, snapshot.id, options, state));
  const name = already?.device ?? (await attachUnderFreeName(volumeId, snapshot, options));
  await waitUntilAttached(volumeId, snapshot, name, options);
  state.everAttached = true;
  const device = await waitForDevice(volumeId, name, snapshot.sizeGiB * GiB, { signal, within: options.waitLimit });
  host.notify({ code: 'volume.attached', snapshot: snapshot.id, volume: volumeId, device: device.path });
  // This comes first: unless the device is known for certain, its mounts may belong to another disk.
  const isKnown = await options.prove(device);
  if (already)
    await endStaleUse(
      isKnown ? device.path : null,
      options.mountPoint,
      mountPointsOf(mountNameFor(snapshot.id, options.archives)),
    );
  return device;
}

const NO_VOLUME: Volume = {
  id: '',
  state: 'deleted',
  sizeGiB: 0,
  type: '',
  availabilityZone: '',
  snapshotId: '',
  createdAt: new Date(0),
  attachments: [],
  tags: {},
};

async function attachUnderFreeName(volumeId: string, snapshot: VolumeSubject, options: AttachOptions): Promise<string> {
  const { volumes, instance, host, signal } = options;
  for (const device of freeDeviceNames(await volumes.deviceNames(instance.id, { signal }))) {
    host.notify({ code: 'volume.attaching', snapshot: snapshot.id, volume: volumeId, device });
    const attached = await volumes.attach(volumeId, instance.id, device, { signal });
    if (attached !== null) return attached;
  }
  throw new SnapError(
    'NO_DEVICE_NAME',
    `no device name of ${instance.id} is free for ${volumeId} (of ${snapshot.id})`,
    {
      hint: 'detach volumes that are no longer needed, or use another instance',
    },
  );
}

async function waitUntilAttached(
  volumeId: string,
  snapshot: VolumeSubject,
  device: string,
  options: AttachOptions,
): Promise<void> {
  const look = async () => {
    const volume = await options.volumes.get(volumeId, { signal: options.signal });
    const attachment = volume?.attachments.find(({ instanceId }) => instanceId === options.instance.id);
    const verdict = attachment?.state === 'attached' ? ('done' as const) : ('again' as const);
    return { verdict, value: attachment, seen: attachment?.state ?? 'no attachment' };
  };
  try {
    await waitFor(look, { what: `${volumeId} to attach`, within: options.waitLimit, signal: options.signal });
  } catch (cause) {
    if (!(cause instanceof SnapError) || cause.code !== 'WAIT_TIMEOUT') throw cause;
    const where = `${options.instance.id} as ${device}`;
    throw new SnapError('ATTACH_STUCK', `${volumeId} (of ${snapshot.id}) is stuck attaching to ${where}`, {
      hint: 'the volume was detached by force and deleted; if it happens again, stop and start the instance',
      cause,
    });
  }
}
