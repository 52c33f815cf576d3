/** Whether a device is the new, empty volume that it is taken for, before it is written to. */
import { open } from 'node:fs/promises';
import { SnapError } from '../../errors.ts';
import { KiB, MiB } from '../../lib/units.ts';
import type { FoundDevice } from './block-devices.ts';

/** At both ends, where partition tables and most superblocks lie. */
const END = MiB;

/** And in between. */
const SAMPLES = 62;
const SAMPLE = 4 * KiB;

/**
 * A new volume reads as zeros. Looks at both ends of the device, and at places spread over it.
 * @throws SnapError `WRONG_DEVICE`
 */
export async function assertEmpty({ path, size }: FoundDevice, volumeId: string, signal: AbortSignal): Promise<void> {
  await using device = await open(path, 'r');
  for (const { from, length } of placesIn(size)) {
    signal.throwIfAborted();
    const { buffer, bytesRead } = await device.read(Buffer.alloc(length), 0, length, from);
    if (buffer.subarray(0, bytesRead).equals(Buffer.alloc(bytesRead))) continue;
    throw new SnapError('WRONG_DEVICE', `${path} is taken for ${volumeId}, which is new, but holds data`, {
      hint: 'nothing was written to it; compare lsblk --output NAME,SERIAL,SIZE with the volumes of this instance',
    });
  }
}

function placesIn(size: number): { from: number; length: number }[] {
  const spread = Array.from({ length: SAMPLES }, (_, index) => {
    const from = Math.floor(((index + 1) * size) / (SAMPLES + 1) / SAMPLE) * SAMPLE;
    return { from, length: Math.min(SAMPLE, size - from) };
  });
  const end = Math.min(END, size);
  return [{ from: 0, length: end }, ...spread, { from: size - end, length: end }];
}
