/** Creates volumes, which are copies of the images of snapshots. */
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { type LabContext, ServiceError } from '../core/contract.ts';
import { BLOCK } from '../ebs/contract.ts';
import { writtenBlocks } from '../ebs/written.ts';
import { copySparsely, findSnapshot, makeEmptyImage, usableSnapshot } from './snapshots.ts';
import { type Ec2State, newId, type StoredVolume } from './state.ts';
import { creationTags, type Tag } from './tags.ts';
import { volumeToWire } from './volumes.ts';

export interface CreateVolumeInput {
  AvailabilityZone?: string;
  SnapshotId?: string;
  Size?: number;
  Iops?: number;
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
  if (repeated) return volumeToWire(repeated, context);
  const volume = checkedVolume(state, context, input, region);
  volume.fails = behaviours.has('volume-error');
  volume.invisibleLooks = Number(behaviours.get('not-yet-visible') ?? 0);
  if (behaviours.has('slow')) volume.availableAt += Number(behaviours.get('slow'));
  if (input.SnapshotId) await copyContent(state, input.SnapshotId, state.volumeImage(volume.id));
  else await makeEmptyImage(state.volumeImage(volume.id));
  await growImage(state.volumeImage(volume.id), volume.sizeGiB * 2 ** 30);
  volume.availableAt += context.now().getTime() - volume.createTime;
  state.volumes.set(volume.id, volume);
  state.save();
  const { Attachments: _none, ...wire } = volumeToWire(volume, context) as { Attachments?: unknown };
  return wire;
}

/** Fills unwritten blocks with noise if the snapshot is encrypted. */
async function copyContent(state: Ec2State, snapshotId: string, image: string): Promise<void> {
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

/** The types for which a number of IOPS must be given. gp3 has a default, and other types have none. */
const WITH_CHOSEN_IOPS = ['io1', 'io2'];

function checkIops(type: string, iops: number | undefined): void {
  const isNeeded = WITH_CHOSEN_IOPS.includes(type);
  if (isNeeded === (iops !== undefined) || (type === 'gp3' && iops !== undefined)) return;
  throw new ServiceError(
    'InvalidParameterCombination',
    isNeeded
      ? `The parameter iops must be specified for ${type} volumes.`
      : `The parameter iops is not supported for ${type} volumes.`,
  );
}

function checkedVolume(state: Ec2State, context: LabContext, input: CreateVolumeInput, region: string): StoredVolume {
  const type = input.VolumeType ?? 'gp2';
  const limits = SIZES[type];
  if (!limits) throw new ServiceError('UnknownVolumeType', `Unsupported volume type '${type}' for volume creation.`);
  if (!input.AvailabilityZone?.startsWith(region)) {
    throw new ServiceError('InvalidZone.NotFound', `The zone '${input.AvailabilityZone}' does not exist.`);
  }
  checkParameters(input);
  checkIops(type, input.Iops);
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

async function growImage(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'r+');
  await file.truncate(bytes);
}
