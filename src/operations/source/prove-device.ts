/**
 * Whether a device holds the snapshot that it is taken for: a few of its blocks against those that the EBS direct APIs
 * have, before anything of it is mounted or stored. A name and a size prove nothing.
 */
import { open } from 'node:fs/promises';
import type { DeviceProof } from '../../archive/manifest.ts';
import { BLOCK_BYTES, type BlockRef } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { LocatedDevice } from '../../host/devices/block-devices.ts';
import { seconds } from '../../lib/clock.ts';
import { MiB } from '../../lib/units.ts';
import type { Services } from '../shared/services.ts';
import { isZeroBlock } from './snapshot-image.ts';

export interface DeviceClaim {
  snapshot: Snapshot;
  device: LocatedDevice;
  /** Whether an earlier run may have mounted it, and replayed its journals. */
  mayBeReplayed: boolean;
}

/**
 * Says what has come of it.
 * @throws SnapError `WRONG_DEVICE`
 */
export async function proveDevice(claim: DeviceClaim, services: Services, signal: AbortSignal): Promise<DeviceProof> {
  const { snapshot, device } = claim;
  const { identifiedBy, path } = device;
  const compared = await compare(claim, services, signal);
  const subject = { snapshot: snapshot.id, device: path, identifiedBy };
  if ('reason' in compared) {
    services.host.notify({ code: 'device.unproved', ...subject, reason: compared.reason });
    return { identifiedBy, blocks: 0, reason: compared.reason };
  }
  if (!isConvincing(compared, claim)) throw wrongDevice(claim, compared);
  services.host.notify({ code: 'device.proved', ...subject, blocks: compared.equal });
  return { identifiedBy, blocks: compared.equal, reason: null };
}

interface Compared {
  equal: number;
  different: number;
}

/** A replayed journal changes a few blocks; of a device that is known by its serial number, one that is left will do. */
function isConvincing({ equal, different }: Compared, { device, mayBeReplayed }: DeviceClaim): boolean {
  if (!mayBeReplayed) return different === 0;
  return device.identifiedBy === 'serial' ? equal > 0 : equal > different;
}

function wrongDevice({ snapshot, device, mayBeReplayed }: DeviceClaim, { equal, different }: Compared): SnapError {
  const blocks = `${different} of ${equal + different} blocks differ`;
  return new SnapError('WRONG_DEVICE', `${device.path} does not hold ${snapshot.id}: ${blocks}; nothing was stored`, {
    hint: mayBeReplayed
      ? 'the volume of an earlier run is not used: snap-to-s3 clean removes what that left; then run the command again'
      : 'compare lsblk --output NAME,SERIAL,SIZE with the volumes of this instance, or use --source direct',
  });
}

/** An endpoint that cannot be reached is tried for as long as that. */
const WITHIN = seconds(60);

const CONVINCING = 3;
/** More are read where some are zeros, as on any other disk, or may have changed. */
const MAX_READS = 8;

/** @returns the reason where the policy, or anything else, does not allow it. */
async function compare(
  claim: DeviceClaim,
  services: Services,
  signal: AbortSignal,
): Promise<Compared | { reason: string }> {
  const within = AbortSignal.timeout(WITHIN);
  try {
    return await compareBlocks(claim, services, AbortSignal.any([signal, within]));
  } catch (error) {
    signal.throwIfAborted();
    if (within.aborted) return { reason: `the EBS direct APIs gave no answer within ${WITHIN / 1000} s` };
    if (error instanceof SnapError && error.code !== 'BUG') return { reason: error.message };
    throw error;
  }
}

async function compareBlocks(
  { snapshot, device, mayBeReplayed }: DeviceClaim,
  { blocks }: Services,
  signal: AbortSignal,
): Promise<Compared | { reason: string }> {
  const written = await firstPage(blocks.list(snapshot.id, 0, { signal }));
  if (written.length === 0) return { reason: 'nothing was ever written to the volume of the snapshot' };
  const compared = { equal: 0, different: 0 };
  await using file = await open(device.path, 'r');
  for (const block of chosenOf(written)) {
    const { bytes } = await blocks.read(snapshot.id, block, { signal });
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(bytes.length),
      0,
      bytes.length,
      block.index * BLOCK_BYTES,
    );
    if (!buffer.subarray(0, bytesRead).equals(bytes)) compared.different++;
    // Zeros are on any disk.
    else if (!isZeroBlock(bytes)) compared.equal++;
    if (compared.different > 0 && !mayBeReplayed) return compared;
    if (compared.different === 0 && compared.equal === CONVINCING) return compared;
  }
  if (compared.equal + compared.different > 0) return compared;
  return { reason: 'the blocks that were compared are zeros, as on any empty disk' };
}

/** What one request lists. */
const BLOCKS_PER_PAGE = 10_000;

async function firstPage(list: AsyncGenerator<BlockRef>): Promise<BlockRef[]> {
  const found: BlockRef[] = [];
  for await (const block of list) {
    found.push(block);
    if (found.length === BLOCKS_PER_PAGE) break;
  }
  return found;
}

/**
 * The beginning of the disk; the beginning of what is usually the first partition, whose superblock tells snapshots of one
 * volume apart; then blocks spread over the rest.
 */
function chosenOf(written: readonly BlockRef[]): BlockRef[] {
  const partition = written.findIndex(({ index }) => index >= MiB / BLOCK_BYTES);
  const spread = Array.from({ length: MAX_READS }, (_, index) =>
    Math.floor(((2 * index + 1) * written.length) / (2 * MAX_READS)),
  );
  const half = MAX_READS / 2;
  const order = [0, Math.max(0, partition), ...spread.slice(half), ...spread.slice(0, half)];
  return [...new Set(order)].slice(0, MAX_READS).flatMap((at) => written[at] ?? []);
}
