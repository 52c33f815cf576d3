/** Volumes, which are copies of the images of snapshots, with the states of EC2. */

import { randomBytes } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { type LabContext, ServiceError } from '../core/contract.ts';
import { BLOCK } from '../ebs/contract.ts';
import { writtenBlocks } from '../ebs/written.ts';
import {
  assertIdsWithoutPages,
  checkFilters,
  type Filter,
  filtered,
  type Paging,
  page,
  tagValues,
} from './describe.ts';
import { copySparsely, findSnapshot, makeEmptyImage, snapshotState } from './snapshots.ts';
import { type Ec2State, newId, type StoredAttachment, type StoredVolume } from './state.ts';
import { creationTags, type Tag, toTagSet } from './tags.ts';

export interface CreateVolumeInput {
  AvailabilityZone?: string;
  SnapshotId?: string;
  Size?: number;
  VolumeType?: string;
  Encrypted?: boolean;
  KmsKeyId?: string;
  ClientToken?: string;
  TagSpecifications?: { ResourceType?: string; Tags?: Tag[] }[];
}

/** In GiB. Source: CreateVolume of the EC2 API reference. */
const SIZES: Record<string, [number, number]> = {
  gp3: [1, 65_536],
  gp2: [1, 16_384],
  io1: [4, 16_384],
  io2: [4, 65_536],
  st1: [125, 16_384],
  sc1: [125, 16_384],
  standard: [1, 1024],
};

export async function createVolume(
  state: Ec2State,
  context: LabContext,
  input: CreateVolumeInput,
  behaviours: Map<string, string>,
  region: string = context.region,
): Promise<object> {
  const repeated = volumeOfToken(state, input);
  if (repeated) return toWire(repeated, context);
  const volume = checkedVolume(state, context, input, region);
  volume.fails = behaviours.has('volume-error');
  volume.invisibleLooks = Number(behaviours.get('not-yet-visible') ?? 0);
  if (behaviours.has('slow')) volume.availableAt += Number(behaviours.get('slow'));
  if (input.SnapshotId) await copySnapshot(state, input.SnapshotId, state.volumeImage(volume.id));
  else await makeEmptyImage(state.volumeImage(volume.id));
  await growImage(state.volumeImage(volume.id), volume.sizeGiB * 2 ** 30);
  volume.availableAt += context.now().getTime() - volume.createTime;
  state.volumes.set(volume.id, volume);
  state.save();
  const { Attachments: _none, ...wire } = toWire(volume, context) as { Attachments?: unknown };
  return wire;
}

/** Fills unwritten blocks with noise if the snapshot is encrypted. */
async function copySnapshot(state: Ec2State, snapshotId: string, image: string): Promise<void> {
  const source = state.snapshotImage(snapshotId);
  await copySparsely(source, image);
  const { encrypted, sizeGiB, writtenZeros = [] } = findSnapshot(state, snapshotId);
  if (!encrypted) return;
  const written = new Set(await writtenBlocks(source, writtenZeros));
  const noise = randomBytes(BLOCK);
  await using file = await open(image, 'r+');
  for (let index = 0; index < (sizeGiB * 2 ** 30) / BLOCK; index++) {
    if (!written.has(index)) await file.write(noise, 0, BLOCK, index * BLOCK);
  }
}

/** @throws ServiceError if the token was used with other parameters. */
function volumeOfToken(state: Ec2State, input: CreateVolumeInput): StoredVolume | undefined {
  const known = [...state.volumes.values()].find(
    ({ clientToken }) => clientToken !== null && clientToken === input.ClientToken,
  );
  if (known && known.request !== requestOf(input)) {
    throw new ServiceError(
      'IdempotentParameterMismatch',
      'The request uses the same client token as a previous, but non-identical request.',
    );
  }
  return known;
}

const requestOf = ({ ClientToken: _token, ...rest }: CreateVolumeInput): string => JSON.stringify(rest);

function checkParameters({ Size, SnapshotId, KmsKeyId, Encrypted }: CreateVolumeInput): void {
  if (Size === undefined && SnapshotId === undefined) {
    throw new ServiceError('MissingParameter', 'The request must contain the parameter size/snapshot');
  }
  if (KmsKeyId !== undefined && Encrypted !== true) {
    throw new ServiceError(
      'InvalidParameterDependency',
      'The parameter KmsKeyId requires the parameter Encrypted to be set.',
    );
  }
}

function checkedVolume(state: Ec2State, context: LabContext, input: CreateVolumeInput, region: string): StoredVolume {
  const type = input.VolumeType ?? 'gp2';
  const limits = SIZES[type];
  if (!limits) throw new ServiceError('UnknownVolumeType', `Unsupported volume type '${type}' for volume creation.`);
  if (!input.AvailabilityZone?.startsWith(region)) {
    throw new ServiceError('InvalidZone.NotFound', `The zone '${input.AvailabilityZone}' does not exist.`);
  }
  checkParameters(input);
  const source = input.SnapshotId === undefined ? null : usableSnapshot(state, context, input.SnapshotId);
  const sizeGiB = input.Size ?? source?.sizeGiB ?? 0;
  if (source && sizeGiB < source.sizeGiB) {
    throw new ServiceError(
      'InvalidParameterValue',
      `The size of a volume can only be increased; snapshot size is ${source.sizeGiB} GiB`,
    );
  }
  if (sizeGiB < limits[0] || sizeGiB > limits[1]) {
    throw new ServiceError(
      'InvalidParameterValue',
      `Volume of ${sizeGiB}GiB is not valid for type ${type}; it must be ${limits[0]} to ${limits[1]} GiB`,
    );
  }
  const time = context.now().getTime();
  return {
    id: newId('vol'),
    snapshotId: input.SnapshotId ?? '',
    sizeGiB,
    type,
    availabilityZone: input.AvailabilityZone,
    encrypted: input.Encrypted ?? source?.encrypted ?? false,
    kmsKeyId: input.KmsKeyId ?? source?.kmsKeyId ?? null,
    createTime: time,
    availableAt: time + context.delays.volumeCreating,
    fails: false,
    visibleAt: time + context.delays.visibility,
    invisibleLooks: 0,
    deletedAt: null,
    attachment: null,
    clientToken: input.ClientToken ?? null,
    request: requestOf(input),
    tags: creationTags(input.TagSpecifications, 'volume'),
  };
}

function usableSnapshot(state: Ec2State, context: LabContext, id: string) {
  const snapshot = findSnapshot(state, id);
  const now = snapshotState(snapshot, context);
  if (now !== 'completed') throw new ServiceError('IncorrectState', `Snapshot is in invalid state - ${now}`);
  if (snapshot.storageTier === 'archive') {
    throw new ServiceError('IncorrectState', `The snapshot '${id}' is archived; restore it before creating a volume`);
  }
  return snapshot;
}

async function growImage(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'r+');
  await file.truncate(bytes);
}

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
  return { Volumes: items.map((volume) => toWire(volume, context)), ...more };
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

function toWire(volume: StoredVolume, context: LabContext): object {
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
