/** Volumes, with the states of EC2. */
import { unlink } from 'node:fs/promises';
import { type LabContext, ServiceError } from '../core/contract.ts';
import {
  assertIdsWithoutPages,
  checkFilters,
  type Filter,
  filtered,
  type Paging,
  page,
  tagValues,
} from './describe.ts';
import type { Ec2State, StoredAttachment, StoredVolume } from './state.ts';
import { toTagSet } from './tags.ts';

export function volumeState(volume: StoredVolume, context: LabContext): string {
  const time = context.now().getTime();
  if (volume.deletedAt !== null) return 'deleting';
  if (volume.availableAt > time) return 'creating';
  if (volume.fails) return 'error';
  return volume.attachment ? 'in-use' : 'available';
}

export function attachmentState(attachment: StoredAttachment, context: LabContext): string {
  const time = context.now().getTime();
  if (attachment.detachingSince !== null) return attachment.stuckDetaching ? 'busy' : 'detaching';
  return attachment.attachedAt !== null && attachment.attachedAt <= time ? 'attached' : 'attaching';
}

/** Deleted volumes disappear, and new ones appear, with a delay. */
const isVisible = (volume: StoredVolume, context: LabContext): boolean => {
  const time = context.now().getTime();
  return volume.visibleAt <= time && (volume.deletedAt === null || volume.deletedAt + context.delays.deleting > time);
};

/** @throws ServiceError with the message of EC2. */
export function findVolume(state: Ec2State, context: LabContext, id: string): StoredVolume {
  if (!/^vol-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id)) {
    throw new ServiceError('InvalidVolumeID.Malformed', `Invalid id: "${id}" (expecting "vol-...")`);
  }
  const volume = state.volumes.get(id);
  if (!volume || !isVisible(volume, context))
    throw new ServiceError('InvalidVolume.NotFound', `The volume '${id}' does not exist.`);
  return volume;
}

interface DescribeInput extends Paging {
  VolumeIds?: string[];
  Filters?: Filter[];
}

const FILTERS = new Set([
  'attachment.device',
  'attachment.instance-id',
  'attachment.status',
  'availability-zone',
  'create-time',
  'encrypted',
  'size',
  'snapshot-id',
  'status',
  'tag-key',
  'volume-id',
  'volume-type',
]);

/** @param region the called region, which has its own volumes. */
export function describeVolumes(
  state: Ec2State,
  context: LabContext,
  input: DescribeInput,
  region: string = context.region,
): object {
  assertIdsWithoutPages(input.VolumeIds, input, 'volumeSet');
  checkFilters(input.Filters, (name) => FILTERS.has(name) || name.startsWith('tag:'));
  const candidates = input.VolumeIds?.length
    ? input.VolumeIds.map((id) => lookedAt(findVolume(state, context, id)))
    : [...state.volumes.values()].filter((volume) => isVisible(volume, context) && volume.invisibleLooks === 0);
  const here = candidates.filter(({ availabilityZone }) => availabilityZone.startsWith(region));
  const found = filtered(here, input.Filters, (volume, name) => filterValues(volume, name, context));
  const { items, ...more } = page(found, input, context.pageSize);
  return { Volumes: items.map((volume) => volumeToWire(volume, context)), ...more };
}

function lookedAt(volume: StoredVolume): StoredVolume {
  if (volume.invisibleLooks === 0) return volume;
  volume.invisibleLooks--;
  throw new ServiceError('InvalidVolume.NotFound', `The volume '${volume.id}' does not exist.`);
}

function filterValues(volume: StoredVolume, name: string, context: LabContext): readonly string[] | undefined {
  const { attachment } = volume;
  const values: Record<string, string[]> = {
    'attachment.device': attachment ? [attachment.device] : [],
    'attachment.instance-id': attachment ? [attachment.instanceId] : [],
    'attachment.status': attachment ? [attachmentState(attachment, context)] : [],
    'availability-zone': [volume.availabilityZone],
    'create-time': [new Date(volume.createTime).toISOString()],
    encrypted: [String(volume.encrypted)],
    size: [String(volume.sizeGiB)],
    'snapshot-id': [volume.snapshotId],
    status: [volumeState(volume, context)],
    'volume-id': [volume.id],
    'volume-type': [volume.type],
  };
  return values[name] ?? tagValues(volume.tags, name);
}

export function volumeToWire(volume: StoredVolume, context: LabContext): object {
  const { attachment } = volume;
  return {
    VolumeId: volume.id,
    SnapshotId: volume.snapshotId,
    Size: volume.sizeGiB,
    VolumeType: volume.type,
    AvailabilityZone: volume.availabilityZone,
    State: volumeState(volume, context),
    CreateTime: new Date(volume.createTime),
    Encrypted: volume.encrypted,
    ...(volume.kmsKeyId === null ? {} : { KmsKeyId: volume.kmsKeyId }),
    ...(volume.type === 'gp3' ? { Iops: 3000, Throughput: 125 } : {}),
    Attachments: attachment ? [attachmentToWire(volume.id, attachment, context)] : [],
    Tags: toTagSet(volume.tags),
  };
}

export const attachmentToWire = (volumeId: string, attachment: StoredAttachment, context: LabContext): object => ({
  VolumeId: volumeId,
  InstanceId: attachment.instanceId,
  Device: attachment.device,
  State: attachmentState(attachment, context),
  AttachTime: new Date(attachment.requestedAt),
  DeleteOnTermination: false,
});

export async function deleteVolume(
  state: Ec2State,
  context: LabContext,
  input: { VolumeId?: string },
): Promise<object> {
  const volume = findVolume(state, context, input.VolumeId ?? '');
  const now = volumeState(volume, context);
  if (now === 'in-use')
    throw new ServiceError(
      'VolumeInUse',
      `Volume ${volume.id} is currently attached to ${volume.attachment?.instanceId}`,
    );
  if (now === 'creating') throw new ServiceError('IncorrectState', `The volume '${volume.id}' is 'creating'`);
  if (now === 'deleting') throw new ServiceError('InvalidVolume.NotFound', `The volume '${volume.id}' does not exist.`);
  volume.deletedAt = context.now().getTime();
  state.save();
  await unlink(state.volumeImage(volume.id));
  return {};
}
