/**
 * Verifies that a device contains the expected snapshot, before it is mounted or stored: compares a few of its blocks with
 * those of the EBS direct APIs. The name and the size of a device are no proof.
 */
import { open } from 'node:fs/promises';
import type { DeviceProof } from '../../archive/manifest.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import type { LocatedDevice } from '../../host/devices/block-devices.ts';
import { seconds } from '../../lib/clock.ts';
import type { Services } from '../shared/services.ts';
import { samplesOf } from './device-samples.ts';
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

const isProof = ({ equal, different }: Compared, expected: ExpectedDevice): boolean =>
  mayDiffer(expected) ? equal > 0 : different === 0;

/**
 * The replay of a journal changes some blocks. One equal block is then enough for a device that its serial number
 * identifies. It is never enough for another one: a disk that was started from the same machine image has more.
 */
const mayDiffer = ({ device, mayBeReplayed }: ExpectedDevice): boolean =>
  mayBeReplayed && device.identifiedBy === 'serial';

function wrongDevice({ snapshot, device }: ExpectedDevice, { equal, different }: Compared): SnapError {
  const blocks = `${different} of ${equal + different} blocks differ`;
  return new SnapError('WRONG_DEVICE', `${device.path} does not hold ${snapshot.id}: ${blocks}; nothing was stored`, {
    hint: 'compare the output of lsblk --output NAME,SERIAL,SIZE with the volumes of this instance, or use --source direct',
  });
}

/** Time limit for the comparison, for example if the endpoint of the EBS direct APIs cannot be reached. */
const TIMEOUT = seconds(60);

/** Number of equal blocks that verify a device with a serial number. */
const SUFFICIENT_BLOCKS = 3;

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
  const { snapshot, device } = expected;
  const samples = await samplesOf(expected, blocks, signal);
  if (samples.length === 0) return { reason: 'the snapshot contains no blocks' };
  const sufficient = device.identifiedBy === 'name' ? samples.length : SUFFICIENT_BLOCKS;
  const compared = { equal: 0, different: 0 };
  await using file = await open(device.path, 'r');
  for (const block of samples) {
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
    if (compared.different > 0 && !mayDiffer(expected)) return compared;
    if (compared.different === 0 && compared.equal === sufficient) return compared;
  }
  if (compared.equal + compared.different > 0) return compared;
  return { reason: 'all compared blocks are zeros, as on any empty disk' };
}
