/** Parses the header of a swap area. Source: `union swap_header` in include/linux/swap.h of the kernel. */
import type { Geometry } from './geometry.ts';

/** The header is one page of the processor that uses the area. */
const PAGE_BYTES = [4096, 8192, 16_384, 32_768, 65_536];

const SIGNATURE = 'SWAPSPACE2';

const HEADER = { version: 1024, lastPage: 1028 } as const;

/** @param device first bytes of the device. @returns `null` if it is no swap area of the only version in use */
export function swapGeometry(device: Buffer): Geometry | null {
  const pageBytes = PAGE_BYTES.find(
    (bytes) => device.toString('latin1', bytes - SIGNATURE.length, bytes) === SIGNATURE,
  );
  if (pageBytes === undefined || device.readUInt32LE(HEADER.version) !== 1) return null;
  return {
    blockBytes: pageBytes,
    inodeBytes: null,
    inodes: null,
    features: [],
    made: { pages: device.readUInt32LE(HEADER.lastPage) + 1 },
  };
}
