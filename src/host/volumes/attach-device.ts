/** Attaches temporary and new volumes, and finds their devices. */
import type { Attachment, Instance, Snapshot, Volume } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { GiB } from '../../lib/units.ts';
import { waitFor } from '../../lib/wait.ts';
import { type LocatedDevice, waitForDevice } from '../devices/block-devices.ts';
import { freeDeviceNames } from '../devices/device-names.ts';
import { mountPointsOf, type ReleaseOptions, releaseAttachment } from './release-volume.ts';
import { endStaleUse } from './stale-use.ts';
import { mountNameFor } from './volume-marks.ts';

export const attachmentHere = (volume: Volume, instance: Instance): Attachment | undefined =>
  volume.attachments.find(({ instanceId, state }) => instanceId === instance.id && state !== 'detached');

export const isWrongDevice = (error: unknown): error is SnapError =>
  error instanceof SnapError && error.code === 'WRONG_DEVICE';

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

export interface Proving {
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
  const endUse = async (isKnown: boolean) => {
    const mountPoints = mountPointsOf(mountNameFor(snapshot.id, options.archives));
    if (already) await endStaleUse(isKnown ? device.path : null, options.mountPoint, mountPoints);
  };
  try {
    // This comes first: unless the device is known for certain, its mounts may belong to another disk.
    await endUse(await options.prove(device));
  } catch (error) {
    // A mounted volume cannot be detached.
    if (isWrongDevice(error)) await endUse(device.identifiedBy === 'serial');
    throw error;
  }
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
