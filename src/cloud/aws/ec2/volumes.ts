/** Creates, attaches, detaches and deletes EC2 volumes. */
import { SnapError } from '../../../errors.ts';
import { now } from '../../../lib/clock.ts';
import type { NewVolume, Volume, VolumeState, Volumes } from '../../ports.ts';
import { isAwsError, translateErrors } from '../errors.ts';
import {
  AttachVolumeCommand,
  CreateVolumeCommand,
  type CreateVolumeCommandInput,
  DeleteVolumeCommand,
  DescribeInstanceAttributeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  type EC2Client,
  type Ec2Filter,
  type Volume as Ec2Volume,
  paginateDescribeVolumes,
  type VolumeType,
} from '../sdk.ts';
import { resourceTags } from './resource-tags.ts';
import { fromTagList, toTagList } from './tag-list.ts';

export function awsVolumes(client: EC2Client): Volumes {
  return {
    create: (wanted, { signal }) =>
      translateErrors(
        `create ${wanted.content.kind === 'snapshot' ? `a volume of ${wanted.content.snapshotId}` : 'an empty volume'}`,
        signal,
        async () => {
          // The signal does not cut this call short: a volume whose id is lost could not be deleted.
          return toVolume(await client.send(new CreateVolumeCommand(createInput(wanted))));
        },
      ),

    get: (volumeId, { signal }) =>
      translateErrors(`describe ${volumeId}`, signal, () =>
        nullIf(isUnknownVolume, async () => {
          const command = new DescribeVolumesCommand({ VolumeIds: [volumeId] });
          const [volume] = (await client.send(command, { abortSignal: signal })).Volumes ?? [];
          return volume ? toVolume(volume) : null;
        }),
      ),

    ...volumeSearch(client),
    ...attachments(client),
    ...resourceTags(client),

    delete: (volumeId, { signal }) =>
      translateErrors(`delete ${volumeId}`, signal, async () => {
        const command = new DeleteVolumeCommand({ VolumeId: volumeId });
        try {
          await client.send(command, { abortSignal: signal });
          return true;
        } catch (error) {
          if (isAwsError(error, 'IncorrectState', 'VolumeInUse')) return false;
          if (isUnknownVolume(error)) return true;
          throw error;
        }
      }),

    deviceNames: (instanceId, { signal }) =>
      translateErrors(`list the devices of ${instanceId}`, signal, async () => {
        const command = new DescribeInstanceAttributeCommand({
          InstanceId: instanceId,
          Attribute: 'blockDeviceMapping',
        });
        const { BlockDeviceMappings = [] } = await client.send(command, { abortSignal: signal });
        return BlockDeviceMappings.flatMap(({ DeviceName }) => DeviceName ?? []);
      }),
  };
}

const volumeSearch = (client: EC2Client): Pick<Volumes, 'ofSnapshot' | 'withTags'> => ({
  ofSnapshot: (snapshotId, tagKey, availabilityZone, { signal }) =>
    translateErrors(`list the volumes of ${snapshotId}`, signal, async () => {
      const Filters = [
        { Name: 'tag-key', Values: [tagKey] },
        { Name: 'snapshot-id', Values: [snapshotId] },
        { Name: 'availability-zone', Values: [availabilityZone] },
      ];
      return describe(client, Filters, signal);
    }),

  withTags: (tags, snapshotId, { signal }) =>
    translateErrors('list the temporary volumes', signal, () => {
      const Filters = Object.entries(tags).map(([key, value]) => ({ Name: `tag:${key}`, Values: [value] }));
      if (snapshotId !== null) Filters.push({ Name: 'snapshot-id', Values: [snapshotId] });
      return describe(client, Filters, signal);
    }),
});

const attachments = (client: EC2Client): Pick<Volumes, 'attach' | 'detach'> => ({
  attach: (volumeId, instanceId, device, { signal }) =>
    translateErrors(`attach ${volumeId} to ${instanceId} as ${device}`, signal, async () => {
      const command = new AttachVolumeCommand({ VolumeId: volumeId, InstanceId: instanceId, Device: device });
      const refusal = await client.send(command).then(
        () => null,
        (error: unknown) => error,
      );
      if (refusal === null) return device;
      if (isAwsError(refusal, 'OperationNotPermitted')) throw productCodeRefusal(volumeId, refusal);
      const attached = await attachedAs(client, volumeId, instanceId, { refusal, signal });
      if (attached === null && !isNameTaken(refusal)) throw refusal;
      return attached;
    }),

  detach: (volumeId, instanceId, { signal, force }) =>
    translateErrors(`detach ${volumeId}`, signal, async () => {
      const command = new DetachVolumeCommand({ VolumeId: volumeId, InstanceId: instanceId, Force: force });
      await nullIf(isDetached, () => client.send(command, { abortSignal: signal }));
    }),
});

export const VOLUMES_PER_PAGE = 500;

async function describe(client: EC2Client, Filters: Ec2Filter[], abortSignal: AbortSignal): Promise<Volume[]> {
  const volumes: Volume[] = [];
  for await (const page of paginateDescribeVolumes(
    { client, pageSize: VOLUMES_PER_PAGE },
    { Filters },
    { abortSignal },
  )) {
    volumes.push(...(page.Volumes ?? []).map(toVolume));
  }
  return volumes;
}

/** EC2 requires a number of IOPS for these types. */
const WITH_CHOSEN_IOPS = ['io1', 'io2'];

/** @throws SnapError `USAGE` if the type needs settings that `NewVolume` does not have. */
export function createInput(wanted: NewVolume): CreateVolumeCommandInput {
  if (WITH_CHOSEN_IOPS.includes(wanted.type)) {
    throw new SnapError('USAGE', `a volume of type ${wanted.type} needs a number of IOPS, which cannot be given`, {
      hint: 'use gp3, and change the type of the volume afterwards with aws ec2 modify-volume',
    });
  }
  return inputOf(wanted);
}

const inputOf = (wanted: NewVolume): CreateVolumeCommandInput => ({
  ...(wanted.content.kind === 'snapshot'
    ? { SnapshotId: wanted.content.snapshotId }
    : { Size: wanted.content.sizeGiB, ...(wanted.content.encrypted ? { Encrypted: true } : {}) }),
  AvailabilityZone: wanted.availabilityZone,
  VolumeType: wanted.type as VolumeType,
  ...(wanted.kmsKeyId === undefined ? {} : { Encrypted: true, KmsKeyId: wanted.kmsKeyId }),
  TagSpecifications: [{ ResourceType: 'volume', Tags: toTagList(wanted.tags) }],
  ClientToken: wanted.clientToken,
});

/**
 * EC2 reports a device name in use as `InvalidParameterValue` and says so only in the message. No other parameter of
 * the call can be invalid, because the ids come from EC2.
 */
const isNameTaken = (error: unknown): boolean =>
  isAwsError(error, 'InvalidParameterValue') && /already in use/i.test((error as Error).message);

/**
 * An earlier attempt of the same call may have succeeded although its response was lost. Then the name or the volume is
 * in use.
 * @returns the name under which the volume is attached to the instance; `null` if it is not attached.
 */
async function attachedAs(
  client: EC2Client,
  volumeId: string,
  instanceId: string,
  { refusal, signal }: { refusal: unknown; signal: AbortSignal },
): Promise<string | null> {
  if (!isNameTaken(refusal) && !isAwsError(refusal, 'VolumeInUse', 'IncorrectState')) return null;
  const command = new DescribeVolumesCommand({ VolumeIds: [volumeId] });
  const { Volumes: [volume] = [] } = await client.send(command, { abortSignal: signal });
  const ours = volume?.Attachments?.find(
    ({ InstanceId, State }) => InstanceId === instanceId && (State === 'attaching' || State === 'attached'),
  );
  return ours?.Device ?? null;
}

const productCodeRefusal = (volumeId: string, cause: unknown): SnapError =>
  new SnapError('SNAPSHOT_UNUSABLE', `EC2 refuses to attach ${volumeId} to this instance`, {
    hint: 'volumes with Marketplace product codes attach only to instances of that product, or to stopped instances',
    cause,
  });

const isUnknownVolume = (error: unknown): boolean => isAwsError(error, 'InvalidVolume.NotFound');

/** `IncorrectState` means that the volume is available, so it is not attached. */
const isDetached = (error: unknown): boolean =>
  isUnknownVolume(error) || isAwsError(error, 'IncorrectState', 'InvalidAttachment.NotFound');

async function nullIf<T>(expected: (error: unknown) => boolean, call: () => Promise<T>): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    if (expected(error)) return null;
    throw error;
  }
}

export const toVolume = (volume: Ec2Volume): Volume => ({
  id: volume.VolumeId ?? '',
  state: (volume.State ?? 'creating') as VolumeState,
  sizeGiB: volume.Size ?? 0,
  type: volume.VolumeType ?? '',
  availabilityZone: volume.AvailabilityZone ?? '',
  snapshotId: volume.SnapshotId ?? '',
  createdAt: volume.CreateTime ?? now(),
  attachments: (volume.Attachments ?? []).map((attachment) => ({
    instanceId: attachment.InstanceId ?? '',
    device: attachment.Device ?? '',
    state: attachment.State ?? '',
  })),
  tags: fromTagList(volume.Tags),
});
