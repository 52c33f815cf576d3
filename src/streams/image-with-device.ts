/** Compares an image stream with the device that it was made from. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { ByteStream } from '../archive/byte-stream.ts';
import { DifferenceList } from './difference.ts';

const CHUNK_BYTES = 1024 * 1024;

export interface ImageFindings {
  differences: DifferenceList;
  contentBytes: number;
}

/** Reports only the first difference. Later ones give no more information. */
export function compareImageWithDevice(stream: ByteStream, device: string): ImageFindings {
  const differences = new DifferenceList();
  const scratch = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const descriptor = openSync(device, 'r');
  try {
    for (;;) {
      const position = stream.position;
      const bytes = stream.some(CHUNK_BYTES);
      const onDevice = readAt(descriptor, scratch, position, Math.max(bytes.length, 1));
      if (bytes.length === 0) {
        if (onDevice.length > 0)
          differences.add('size', '', `the image ends at byte ${position}, before the end of the disk`);
        return { differences, contentBytes: position };
      }
      if (differences.count > 0 || bytes.equals(onDevice)) continue;
      if (onDevice.length < bytes.length) differences.add('size', '', 'the image is longer than the disk');
      else
        differences.add(
          'content',
          '',
          `the first difference is at byte ${position + firstDifference(bytes, onDevice)}`,
        );
    }
  } finally {
    closeSync(descriptor);
  }
}

function readAt(descriptor: number, scratch: Buffer, position: number, length: number): Buffer {
  let filled = 0;
  while (filled < length) {
    const count = readSync(descriptor, scratch, filled, length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return scratch.subarray(0, filled);
}

function firstDifference(a: Buffer, b: Buffer): number {
  let at = 0;
  while (a[at] === b[at]) at++;
  return at;
}
