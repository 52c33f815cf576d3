/** Snapshots, which are images of disks. */
import { mkdir, open, stat, truncate, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type LabContext, ServiceError } from '../core/contract.ts';
import { run } from '../core/run.ts';
import {
  assertIdsWithoutPages,
  checkFilters,
  type Filter,
  filtered,
  type Paging,
  page,
  tagValues,
} from './describe.ts';
import { type Ec2State, newId, type StoredSnapshot } from './state.ts';
import { creationTags, type Tag, toTagSet } from './tags.ts';

export interface SnapshotFixture {
  /** The path of a disk image, which is copied. Without an image, the disk has no written blocks. */
  imagePath?: string;
  /** The size of a disk without an image. */
  sizeGiB?: number;
  /** The size of the data in DescribeSnapshots (default: that of the data in the image). */
  dataBytes?: number;
  /** The region (default: that of the lab). */
  region?: string;
  description?: string;
  tags?: Record<string, string>;
  /** An ISO date. */
  startTime?: string;
  volumeId?: string;
  snapshotId?: string;
  encrypted?: boolean;
  kmsKeyId?: string;
  productCodes?: string[];
  ownerId?: string;
  state?: 'pending' | 'completed' | 'error';
  storageTier?: 'standard' | 'archive';
  /** The indexes of blocks that were written with zeros. */
  writtenZeros?: number[];
}

const GiB = 2 ** 30;

/** Copies a sparse file and keeps its holes. */
export async function copySparsely(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await run(['cp', '--sparse=always', '--reflink=auto', '--', from, to]);
}

export async function makeEmptyImage(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await using _file = await open(path, 'w');
}

const makeImage = ({ imagePath }: SnapshotFixture, path: string): Promise<void> =>
  imagePath === undefined ? makeEmptyImage(path) : copySparsely(imagePath, path);

export async function registerSnapshot(
  state: Ec2State,
  context: LabContext,
  fixture: SnapshotFixture,
): Promise<StoredSnapshot> {
  const id = fixture.snapshotId ?? newId('snap');
  const image = state.snapshotImage(id);
  await makeImage(fixture, image);
  const sizeGiB = fixture.sizeGiB ?? Math.max(1, Math.ceil((await stat(image)).size / GiB));
  await truncate(image, sizeGiB * GiB);
  const snapshot: StoredSnapshot = {
    id,
    volumeId: fixture.volumeId ?? newId('vol'),
    sizeGiB,
    description: fixture.description ?? '',
    startTime: fixture.startTime ? Date.parse(fixture.startTime) : context.now().getTime(),
    ownerId: fixture.ownerId ?? context.accountId,
    encrypted: fixture.encrypted ?? false,
    kmsKeyId: fixture.kmsKeyId ?? null,
    productCodes: fixture.productCodes ?? [],
    storageTier: fixture.storageTier ?? 'standard',
    state: fixture.state ?? 'completed',
    dataBytes: fixture.dataBytes ?? (await stat(image)).blocks * 512,
    tags: fixture.tags ?? {},
    writtenZeros: fixture.writtenZeros ?? [],
    ...(fixture.region === undefined ? {} : { region: fixture.region }),
  };
  state.snapshots.set(id, snapshot);
  state.save();
  return snapshot;
}

interface DescribeInput extends Paging {
  SnapshotIds?: string[];
  OwnerIds?: string[];
  Filters?: Filter[];
}

/** The values that filters match, besides those of tags. Each is computed only for filters that need it. */
const VALUES: Readonly<Record<string, (snapshot: StoredSnapshot, context: LabContext) => string>> = {
  description: ({ description }) => description,
  encrypted: ({ encrypted }) => String(encrypted),
  'owner-id': ({ ownerId }) => ownerId,
  progress: (snapshot, context) => progressOf(snapshot, context),
  'snapshot-id': ({ id }) => id,
  'start-time': ({ startTime }) => new Date(startTime).toISOString(),
  status: (snapshot, context) => snapshotState(snapshot, context),
  'storage-tier': ({ storageTier }) => storageTier,
  'volume-id': ({ volumeId }) => volumeId,
  'volume-size': ({ sizeGiB }) => String(sizeGiB),
};

/** @param region the called region, which has its own snapshots. */
export function describeSnapshots(
  state: Ec2State,
  context: LabContext,
  input: DescribeInput,
  region: string = context.region,
): object {
  assertIdsWithoutPages(input.SnapshotIds, input, 'snapshotSet');
  checkFilters(input.Filters, (name) => Object.hasOwn(VALUES, name) || name === 'tag-key' || name.startsWith('tag:'));
  const owners = (input.OwnerIds ?? []).map((owner) => (owner === 'self' ? context.accountId : owner));
  const candidates = input.SnapshotIds?.length
    ? input.SnapshotIds.map((id) => findSnapshot(state, id))
    : [...state.snapshots.values()];
  const here = candidates.filter((snapshot) => (snapshot.region ?? context.region) === region);
  const owned = here.filter(({ ownerId }) => owners.length === 0 || owners.includes(ownerId));
  const found = filtered(owned, input.Filters, (snapshot, name) => filterValues(snapshot, name, context));
  const { items, ...more } = page(found, input, context.pageSize);
  return { Snapshots: items.map((snapshot) => toWire(snapshot, context)), ...more };
}

/** @throws ServiceError with the message of EC2. */
export function findSnapshot(state: Ec2State, id: string): StoredSnapshot {
  if (!/^snap-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id)) {
    throw new ServiceError('InvalidSnapshotID.Malformed', `Invalid id: "${id}" (expecting "snap-...")`);
  }
  const snapshot = state.snapshots.get(id);
  if (!snapshot) throw new ServiceError('InvalidSnapshot.NotFound', `The snapshot '${id}' does not exist.`);
  return snapshot;
}

/** Returns the current state. A pending snapshot ends in `error` if its next block does not arrive in time. */
export function snapshotState(snapshot: StoredSnapshot, context: LabContext): StoredSnapshot['state'] {
  const { state, sealedAt, writtenAt } = snapshot;
  const now = context.now().getTime();
  if (state === 'completed' && sealedAt !== undefined && sealedAt + context.delays.snapshotPending > now)
    return 'pending';
  const isCanceled = state === 'pending' && writtenAt !== undefined && writtenAt + context.delays.snapshotTimeout < now;
  return isCanceled ? 'error' : state;
}

/** @throws ServiceError for a snapshot that no volume or copy can be created from yet, or at all. */
export function usableSnapshot(state: Ec2State, context: LabContext, id: string): StoredSnapshot {
  const snapshot = findSnapshot(state, id);
  const now = snapshotState(snapshot, context);
  if (now !== 'completed') throw new ServiceError('IncorrectState', `Snapshot is in invalid state - ${now}`);
  if (snapshot.storageTier === 'archive') {
    throw new ServiceError('IncorrectState', `The snapshot '${id}' is archived; restore it first`);
  }
  return snapshot;
}

function filterValues(snapshot: StoredSnapshot, name: string, context: LabContext): readonly string[] | undefined {
  const find = VALUES[name];
  return find === undefined ? tagValues(snapshot.tags, name) : [find(snapshot, context)];
}

const progressOf = (snapshot: StoredSnapshot, context: LabContext): string =>
  snapshotState(snapshot, context) === 'completed' ? '100%' : '42%';

function toWire(snapshot: StoredSnapshot, context: LabContext): object {
  return {
    SnapshotId: snapshot.id,
    VolumeId: snapshot.volumeId,
    VolumeSize: snapshot.sizeGiB,
    State: snapshotState(snapshot, context),
    StartTime: new Date(snapshot.startTime),
    Progress: progressOf(snapshot, context),
    OwnerId: snapshot.ownerId,
    Description: snapshot.description,
    Encrypted: snapshot.encrypted,
    ...(snapshot.kmsKeyId === null ? {} : { KmsKeyId: snapshot.kmsKeyId }),
    StorageTier: snapshot.storageTier,
    FullSnapshotSizeInBytes: snapshot.dataBytes,
    Tags: toTagSet(snapshot.tags),
  };
}

interface CreateInput {
  VolumeId?: string;
  Description?: string;
  TagSpecifications?: { ResourceType?: string; Tags?: Tag[] }[];
}

/** Copies the current image of the volume. If it is mounted, the snapshot is crash-consistent, as on EC2. */
export async function createSnapshot(state: Ec2State, context: LabContext, input: CreateInput): Promise<object> {
  const volume = state.volumes.get(input.VolumeId ?? '');
  if (!volume) throw new ServiceError('InvalidVolume.NotFound', `The volume '${input.VolumeId}' does not exist.`);
  const snapshot = await registerSnapshot(state, context, {
    imagePath: state.volumeImage(volume.id),
    volumeId: volume.id,
    description: input.Description ?? '',
    tags: creationTags(input.TagSpecifications, 'snapshot'),
    encrypted: volume.encrypted,
  });
  snapshot.sealedAt = context.now().getTime();
  state.save();
  // EC2 always returns this state, however soon the snapshot is completed.
  return { ...toWire(snapshot, context), State: 'pending' };
}

export async function deleteSnapshot(state: Ec2State, input: { SnapshotId?: string }): Promise<object> {
  const { id } = findSnapshot(state, input.SnapshotId ?? '');
  state.snapshots.delete(id);
  state.save();
  await unlink(state.snapshotImage(id));
  return {};
}
