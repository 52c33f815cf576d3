/** Compares an image stream with the device that it was made from. */
import type { ByteStream } from '../archive/byte-stream.ts';
import { DifferenceList } from './difference.ts';

const CHUNK_BYTES = 1024 * 1024;

export interface ImageFindings {
  differences: DifferenceList;
  contentBytes: number;
}

/** Reports only the first difference. Later ones give no more information. */
export function compareImageWithDevice(image: ByteStream, device: ByteStream): ImageFindings {
  const differences = new DifferenceList();
  for (let bytes = image.some(CHUNK_BYTES); bytes.length > 0; bytes = image.some(CHUNK_BYTES)) {
    if (differences.count > 0) continue;
    const found = differenceIn(bytes, device);
    if (found) differences.add(found.kind, '', found.detail);
  }
  if (differences.count === 0 && device.some(1).length > 0)
    differences.add('size', '', `the image ends at byte ${image.position}, before the end of the disk`);
  return { differences, contentBytes: image.position };
}

/** Takes as many bytes from the device as the image has. Returns `null` if they are equal. */
function differenceIn(bytes: Buffer, device: ByteStream): { kind: 'size' | 'content'; detail: string } | null {
  for (let at = 0; at < bytes.length; ) {
    const position = device.position;
    const onDevice = device.some(bytes.length - at);
    if (onDevice.length === 0) return { kind: 'size', detail: 'the image is longer than the disk' };
    const some = bytes.subarray(at, at + onDevice.length);
    if (!some.equals(onDevice)) {
      const first = position + firstDifference(some, onDevice);
      return { kind: 'content', detail: `the first difference is at byte ${first}` };
    }
    at += onDevice.length;
  }
  return null;
}

function firstDifference(a: Buffer, b: Buffer): number {
  let at = 0;
  while (a[at] === b[at]) at++;
  return at;
}
