/**
 * Verifies that a device contains the expected snapshot, before it is mounted or stored: compares a few of its blocks with
 * those of the EBS direct APIs. The name and the size of a device are no proof.
 */
import { open } from 'node:fs/promises';
import type { DeviceProof } from '../../archive/manifest.ts';
import { BLOCK_BYTES, type BlockRef, type SnapshotBlocks } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { LocatedDevice } from '../../host/devices/block-devices.ts';
import { type Partition, readPartitionTable } from '../../host/disks/partition-table.ts';
import { BLOCKS_PER_PAGE } from '../../lib/aws-limits.ts';
import { seconds } from '../../lib/clock.ts';
import { KiB, MiB } from '../../lib/units.ts';
import type { Services } from '../shared/services.ts';
import { isZeroBlock } from './snapshot-image.ts';

export interface ExpectedDevice {
  /** The snapshot that the device is expected to contain. */
  snapshot: Snapshot;
  device: LocatedDevice;
  /** Whether an earlier run may have mounted the device and replayed its journals. */
  mayBeReplayed: boolean;
}

/**
 * Notifies the host whether the device was verified. It is not if the comparison is impossible, for example without
 * permission.
 * @throws SnapError `WRONG_DEVICE` if the device contains other data.
 */
export async function proveDevice(
  expected: ExpectedDevice,
  services: Services,
  signal: AbortSignal,
): Promise<DeviceProof> {
  const { snapshot, device } = expected;
  const { identifiedBy, path } = device;
  const compared = await compare(expected, services, signal);
  const subject = { snapshot: snapshot.id, device: path, identifiedBy };
  if ('reason' in compared) {
    services.host.notify({ code: 'device.unproved', ...subject, reason: compared.reason });
    return { identifiedBy, blocks: 0, reason: compared.reason };
  }
  if (!isProof(compared, expected)) throw wrongDevice(expected, compared);
  services.host.notify({ code: 'device.proved', ...subject, blocks: compared.equal });
  return { identifiedBy, blocks: compared.equal, reason: null };
}

interface Compared {
  equal: number;
  different: number;
}

/**
 * The replay of a journal changes some blocks. One equal block is then enough for a device that its serial number
 * identifies; otherwise, most blocks must be equal.
 */
function isProof({ equal, different }: Compared, { device, mayBeReplayed }: ExpectedDevice): boolean {
  if (!mayBeReplayed) return different === 0;
  return device.identifiedBy === 'serial' ? equal > 0 : equal > different;
}

function wrongDevice({ snapshot, device, mayBeReplayed }: ExpectedDevice, { equal, different }: Compared): SnapError {
  const blocks = `${different} of ${equal + different} blocks differ`;
  return new SnapError('WRONG_DEVICE', `${device.path} does not hold ${snapshot.id}: ${blocks}; nothing was stored`, {
    hint: mayBeReplayed
      ? 'the temporary volume of an earlier run cannot be reused: remove it with snap-to-s3 clean, then run the same command again'
      : 'compare the output of lsblk --output NAME,SERIAL,SIZE with the volumes of this instance, or use --source direct',
  });
}

/** Time limit for the comparison, for example if the endpoint of the EBS direct APIs cannot be reached. */
const TIMEOUT = seconds(60);

/**
 * Number of equal blocks that verify a device with a serial number. Disks that were started from the same machine image
 * have many equal blocks, so more of a device that only its name identifies are compared.
 */
const SUFFICIENT_BLOCKS = 3;
/** Maximum number of blocks to read. Blocks of zeros prove nothing, and replayed blocks differ. */
const MAX_READS = 8;

/** @returns the reason if the comparison is impossible, for example without permission. */
async function compare(
  expected: ExpectedDevice,
  services: Services,
  signal: AbortSignal,
): Promise<Compared | { reason: string }> {
  const timeout = AbortSignal.timeout(TIMEOUT);
  try {
    return await compareBlocks(expected, services, AbortSignal.any([signal, timeout]));
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) return { reason: `the EBS direct APIs did not respond within ${TIMEOUT / 1000} s` };
    if (error instanceof SnapError && error.code !== 'BUG') return { reason: error.message };
    throw error;
  }
}

async function compareBlocks(
  expected: ExpectedDevice,
  { blocks }: Services,
  signal: AbortSignal,
): Promise<Compared | { reason: string }> {
  const { snapshot, device, mayBeReplayed } = expected;
  const written = await firstPage(blocks.list(snapshot.id, 0, { signal }));
  if (written.length === 0) return { reason: 'the snapshot contains no blocks' };
  const isNamed = device.identifiedBy === 'name';
  const sufficient = isNamed ? MAX_READS : SUFFICIENT_BLOCKS;
  const partitions = isNamed ? await startsOfPartitions(expected, written, blocks, signal) : [];
  const compared = { equal: 0, different: 0 };
  await using file = await open(device.path, 'r');
  for (const block of sampleOf(written, partitions)) {
    const { bytes } = await blocks.read(snapshot.id, block, { signal });
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(bytes.length),
      0,
      bytes.length,
      block.index * BLOCK_BYTES,
    );
    if (!buffer.subarray(0, bytesRead).equals(bytes)) compared.different++;
    // Any disk can contain blocks of zeros.
    else if (!isZeroBlock(bytes)) compared.equal++;
    if (compared.different > 0 && !mayBeReplayed) return compared;
    if (compared.different === 0 && compared.equal === sufficient) return compared;
  }
  if (compared.equal + compared.different > 0) return compared;
  return { reason: 'all compared blocks are zeros, as on any empty disk' };
}

async function firstPage(list: AsyncGenerator<BlockRef>): Promise<BlockRef[]> {
  const found: BlockRef[] = [];
  for await (const block of list) {
    found.push(block);
    if (found.length === BLOCKS_PER_PAGE) break;
  }
  return found;
}

/** Maximum number of partitions whose first blocks are compared. */
const MAX_PARTITIONS = 5;

/** Offset of the superblock of ext in its partition. Those of most other filesystems are before it. */
const SUPERBLOCK = KiB;

/**
 * Finds the blocks with the superblocks of the largest partitions in the table that is on the device. Superblocks contain
 * times and counters, which distinguish disks that were started from the same machine image.
 */
async function startsOfPartitions(
  { snapshot, device }: ExpectedDevice,
  written: readonly BlockRef[],
  blocks: SnapshotBlocks,
  signal: AbortSignal,
): Promise<BlockRef[]> {
  const partitions = await partitionsOn(device.path, signal);
  const largest = partitions.toSorted((one, other) => other.size - one.size).slice(0, MAX_PARTITIONS);
  const found: BlockRef[] = [];
  for (const index of largest.map(({ start }) => Math.floor((start + SUPERBLOCK) / BLOCK_BYTES))) {
    const isListed = written.length < BLOCKS_PER_PAGE || index <= (written.at(-1)?.index ?? 0);
    const block = isListed
      ? written.find((known) => known.index === index)
      : (await blocks.list(snapshot.id, index, { signal }).next()).value;
    // Blocks that were never written are not listed.
    if (block?.index === index) found.push(block);
  }
  return found;
}

/** @returns an empty list for a table that cannot be read. */
async function partitionsOn(device: string, signal: AbortSignal): Promise<Partition[]> {
  try {
    return (await readPartitionTable(device, signal)).partitions;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SnapError) return [];
    throw error;
  }
}

/**
 * The first block of the disk; the first blocks of partitions, or else the first block at 1 MiB, where the first
 * partition usually starts; then blocks that are spread over the rest.
 */
function sampleOf(written: readonly BlockRef[], partitions: readonly BlockRef[]): BlockRef[] {
  const usual = written.find(({ index }) => index >= MiB / BLOCK_BYTES) ?? written[0];
  const spread = Array.from(
    { length: MAX_READS },
    (_, index) => written[Math.floor(((2 * index + 1) * written.length) / (2 * MAX_READS))],
  );
  const half = MAX_READS / 2;
  const starts = partitions.length > 0 ? partitions : [usual];
  const order = [written[0], ...starts, ...spread.slice(half), ...spread.slice(0, half)];
  const byIndex = new Map(order.flatMap((block) => (block ? [[block.index, block]] : [])));
  return [...byIndex.values()].slice(0, MAX_READS);
}
