/** Attaches volumes. While EC2 reports a volume as attached, its image is a block device of this machine. */

import { type LabContext, type Leftover, ServiceError } from '../core/contract.ts';
import { dropDeadLinks, isTaken, linkDevice, unlinkDevice } from '../devices/links.ts';
import { attachImage, detachImage, detachOrphans, loopDevicesBelow, mountsOf } from '../devices/loop.ts';
import { leaveName, takeName } from '../devices/names.ts';
import { limitReads } from '../devices/read-limit.ts';
import type { Ec2State, StoredAttachment, StoredVolume } from './state.ts';
import { attachmentToWire, findVolume, volumeState } from './volumes.ts';

/** The attachment slots of most Nitro instances. Source: "Amazon EBS volume limits" of the EC2 user guide. */
const MAX_ATTACHMENTS = 27;

interface AttachInput {
  Device?: string;
  InstanceId?: string;
  VolumeId?: string;
}

export function attachVolume(
  state: Ec2State,
  context: LabContext,
  input: AttachInput,
  behaviours: Map<string, string>,
): object {
  const volume = findVolume(state, context, input.VolumeId ?? '');
  checkInstance(context, input.InstanceId);
  const device = checkDevice(state, input.Device ?? '', behaviours);
  checkAttachable(state, context, volume);
  if (!takeName(device, context.directory)) throw nameInUse(device);
  const time = context.now().getTime();
  volume.attachment = {
    instanceId: context.instance.instanceId,
    device,
    loop: null,
    requestedAt: time,
    attachedAt: behaviours.has('stuck-attaching') ? null : time + context.delays.attaching,
    detachingSince: null,
    withoutDevice: behaviours.has('attach-without-device'),
    withoutSerial: behaviours.has('attach-without-serial') || behaviours.has('attach-foreign-device'),
    foreignImage: behaviours.get('attach-foreign-device') ?? null,
    stuckDetaching: false,
  };
  state.save();
  return { ...attachmentToWire(volume.id, volume.attachment, context), State: 'attaching' };
}

export function checkInstance(context: LabContext, instanceId: string | undefined): void {
  if (instanceId === context.instance.instanceId) return;
  throw new ServiceError('InvalidInstanceID.NotFound', `The instance ID '${instanceId}' does not exist`);
}

/** Device names that EC2 accepts for HVM instances. Source: "Device names for volumes" of the EC2 user guide. */
const DEVICE_NAME = /^(\/dev\/)?(sd[a-z][1-9]?|xvd[a-d]?[a-z])$/;

function checkDevice(state: Ec2State, device: string, behaviours: Map<string, string>): string {
  if (!DEVICE_NAME.test(device)) {
    throw new ServiceError(
      'InvalidParameterValue',
      `Value (${device}) for parameter device is invalid. ${device} is not a valid EBS device name.`,
    );
  }
  const path = device.startsWith('/dev/') ? device : `/dev/${device}`;
  const held = [...state.volumes.values()].some(({ attachment }) => attachment?.device === path);
  if (held || isTaken(path) || behaviours.has('device-taken')) {
    throw nameInUse(device);
  }
  return path;
}

const nameInUse = (device: string): ServiceError =>
  new ServiceError(
    'InvalidParameterValue',
    `Invalid value '${device}' for unixDevice. Attachment point ${device} is already in use`,
  );

function checkAttachable(state: Ec2State, context: LabContext, volume: StoredVolume): void {
  const now = volumeState(volume, context);
  if (now === 'in-use') throw new ServiceError('VolumeInUse', `${volume.id} is already attached to an instance`);
  if (now !== 'available') throw new ServiceError('IncorrectState', `Volume '${volume.id}' is not 'available'.`);
  if (volume.availabilityZone !== context.instance.availabilityZone) {
    throw new ServiceError(
      'InvalidVolume.ZoneMismatch',
      `The volume '${volume.id}' is not in the same availability zone as instance '${context.instance.instanceId}'`,
    );
  }
  if (state.snapshots.get(volume.snapshotId)?.productCodes.length) {
    throw new ServiceError(
      'OperationNotPermitted',
      `The volume '${volume.id}' has product codes that cannot be attached to a running instance`,
    );
  }
  const attached = [...state.volumes.values()].filter(({ attachment }) => attachment !== null).length;
  if (attached >= MAX_ATTACHMENTS) {
    throw new ServiceError(
      'AttachmentLimitExceeded',
      `Volume attachment limit exceeded for instance ${context.instance.instanceId}`,
    );
  }
}

interface DetachInput {
  VolumeId?: string;
  InstanceId?: string;
  Force?: boolean;
}

export function detachVolume(
  state: Ec2State,
  context: LabContext,
  input: DetachInput,
  behaviours: Map<string, string>,
): object {
  const volume = findVolume(state, context, input.VolumeId ?? '');
  const { attachment } = volume;
  if (!attachment) throw new ServiceError('IncorrectState', `Volume '${volume.id}' is in the 'available' state.`);
  if (input.InstanceId !== undefined) checkInstance(context, input.InstanceId);
  const neverAttached = attachment.attachedAt === null;
  if (!neverAttached || input.Force) attachment.detachingSince ??= context.now().getTime();
  attachment.stuckDetaching = behaviours.has('stuck-detaching');
  state.save();
  return { ...attachmentToWire(volume.id, attachment, context), State: 'detaching' };
}

/** Creates the devices of attached volumes, and removes those of detached ones. */
export async function settleDevices(state: Ec2State, context: LabContext): Promise<void> {
  const time = context.now().getTime();
  for (const volume of state.volumes.values()) {
    const { attachment } = volume;
    if (!attachment) continue;
    if (attachment.detachingSince !== null) await settleDetaching(state, context, volume, attachment);
    else if (attachment.loop === null && isDue(attachment, time)) await plugIn(state, context, volume, attachment);
  }
}

const isDue = (attachment: StoredAttachment, time: number): boolean =>
  attachment.attachedAt !== null && attachment.attachedAt <= time && !attachment.withoutDevice;

async function plugIn(
  state: Ec2State,
  context: LabContext,
  volume: StoredVolume,
  attachment: StoredAttachment,
): Promise<void> {
  attachment.loop = await attachImage(attachment.foreignImage ?? state.volumeImage(volume.id));
  limitReads(attachment.loop, context.delays.volumeBytesPerSecond);
  linkDevice(attachment.loop, attachment.withoutSerial ? null : volume.id, attachment.device);
  state.save();
}

/** Detaches a volume. As on EC2, a mounted volume stays busy until it is unmounted. */
async function settleDetaching(
  state: Ec2State,
  context: LabContext,
  volume: StoredVolume,
  attachment: StoredAttachment,
): Promise<void> {
  const due = (attachment.detachingSince ?? 0) + context.delays.detaching <= context.now().getTime();
  if (!due || attachment.stuckDetaching) return;
  if (attachment.loop !== null && mountsOf(attachment.loop).length > 0) return;
  await unplug(volume, attachment);
  volume.attachment = null;
  state.save();
  leaveName(attachment.device, context.directory);
}

async function unplug(volume: StoredVolume, attachment: StoredAttachment): Promise<void> {
  if (attachment.loop === null) return;
  unlinkDevice(attachment.loop, volume.id, attachment.device);
  limitReads(attachment.loop, 0);
  await detachImage(attachment.loop);
  attachment.loop = null;
}

/** Restores devices at a start. A killed lab leaves loop devices and links; a stopped lab has removed its devices. */
export async function recoverDevices(state: Ec2State, { directory }: LabContext): Promise<void> {
  dropDeadLinks();
  await detachOrphans();
  const loops = loopDevicesBelow(state.directory);
  for (const volume of state.volumes.values()) {
    const { attachment } = volume;
    if (!attachment) continue;
    takeName(attachment.device, directory);
    const image = state.volumeImage(volume.id);
    attachment.loop = loops.get(image) ?? null;
    if (attachment.loop) linkDevice(attachment.loop, attachment.withoutSerial ? null : volume.id, attachment.device);
    loops.delete(image);
  }
  for (const device of loops.values()) await detachImage(device);
  state.save();
}

/** Removes the devices. The attachments are recorded, and the devices are created again when the lab starts. */
export async function unplugAll(state: Ec2State, { directory }: LabContext): Promise<void> {
  for (const volume of state.volumes.values()) {
    const { attachment } = volume;
    if (!attachment || (attachment.loop && mountsOf(attachment.loop).length > 0)) continue;
    await unplug(volume, attachment);
    leaveName(attachment.device, directory);
  }
  state.save();
}

export function deviceLeftovers(state: Ec2State): Leftover[] {
  return [...loopDevicesBelow(state.directory)].flatMap(([image, device]): Leftover[] => [
    { kind: 'loop-device', id: device, detail: image },
    ...mountsOf(device).map((target): Leftover => ({ kind: 'mount', id: target, detail: device })),
  ]);
}
