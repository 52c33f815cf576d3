/** Checks that a device is a new, empty volume before anything is written to it. */
import { open } from 'node:fs/promises';
import { SnapError } from '../../errors.ts';
import { KiB, MiB } from '../../lib/units.ts';
import type { FoundDevice } from './block-devices.ts';

/** Bytes to read at each end, where partition tables and most superblocks are. */
const END_BYTES = MiB;

/** Number of samples between the ends. */
const SAMPLES = 62;
const SAMPLE_BYTES = 4 * KiB;

/**
 * Checks that both ends of the device and samples in between are zeros, as on every new volume.
 * @throws SnapError `WRONG_DEVICE`
 */
export async function assertEmpty({ path, size }: FoundDevice, volumeId: string, signal: AbortSignal): Promise<void> {
  await using device = await open(path, 'r');
  for (const { from, length } of placesIn(size)) {
    signal.throwIfAborted();
    const { buffer, bytesRead } = await device.read(Buffer.alloc(length), 0, length, from);
    if (buffer.subarray(0, bytesRead).equals(Buffer.alloc(bytesRead))) continue;
    throw new SnapError('WRONG_DEVICE', `${path} should be the new, empty volume ${volumeId}, but it holds data`, {
      hint: 'nothing was written to it; compare lsblk --output NAME,SERIAL,SIZE with the volumes of this instance',
    });
  }
}

function placesIn(size: number): { from: number; length: number }[] {
  const spread = Array.from({ length: SAMPLES }, (_, index) => {
    const from = Math.floor(((index + 1) * size) / (SAMPLES + 1) / SAMPLE_BYTES) * SAMPLE_BYTES;
    return { from, length: Math.min(SAMPLE_BYTES, size - from) };
  });
  const end = Math.min(END_BYTES, size);
  return [{ from: 0, length: end }, ...spread, { from: size - end, length: end }];
}
