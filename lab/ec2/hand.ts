/** Creates and immediately attaches volumes for users who want to look into a snapshot. */
import { type LabContext, ServiceError } from '../core/contract.ts';
import { attachVolume, detachVolume, settleDevices } from './attachments.ts';
import { createVolume } from './new-volumes.ts';
import type { Ec2State } from './state.ts';
import { deleteVolume, findVolume } from './volumes.ts';

const NO_BEHAVIOURS = new Map<string, string>();

/** @returns the id of the volume, and its loop device. */
export async function plugSnapshot(
  state: Ec2State,
  context: LabContext,
  snapshotId: string,
): Promise<{ volumeId: string; device: string }> {
  const { instanceId, availabilityZone } = context.instance;
  const input = { SnapshotId: snapshotId, AvailabilityZone: availabilityZone };
  const { VolumeId } = (await createVolume(state, context, input, NO_BEHAVIOURS)) as { VolumeId: string };
  const volume = findVolume(state, context, VolumeId);
  volume.availableAt = 0;
  for (const letter of 'zyxwvutsrqponmlkjihgf') {
    try {
      const Device = `/dev/sd${letter}`;
      attachVolume(state, context, { VolumeId, InstanceId: instanceId, Device }, NO_BEHAVIOURS);
      break;
    } catch (error) {
      if (!(error instanceof ServiceError) || !/already in use/.test(error.message)) throw error;
    }
  }
  if (volume.attachment) volume.attachment.attachedAt = 0;
  await settleDevices(state, context);
  return { volumeId: VolumeId, device: volume.attachment?.loop ?? '' };
}

/** Removes a volume, even if it was created through EC2. */
export async function unplugVolume(state: Ec2State, context: LabContext, volumeId: string): Promise<void> {
  const volume = findVolume(state, context, volumeId);
  if (volume.attachment) {
    detachVolume(state, context, { VolumeId: volumeId, Force: true }, NO_BEHAVIOURS);
    volume.attachment.detachingSince = 0;
    await settleDevices(state, context);
  }
  await deleteVolume(state, context, { VolumeId: volumeId });
}
