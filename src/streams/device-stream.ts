/** Reads a device ahead in a thread and bypasses the page cache, because its bytes are read only once. */
import { closeSync, constants, openSync, statSync } from 'node:fs';
import { type RingMemory, ringIn } from '../lib/bytes/shared-ring.ts';

const RING_BYTES = 8 * 1024 * 1024;
const MAX_CHUNK_BYTES = 1024 * 1024;
const WEBASSEMBLY_PAGE = 65_536;

/**
 * Returns a ring for direct I/O, which requires aligned addresses: only the memory of WebAssembly starts at a page boundary.
 * All reads before the last one have whole pages, so that the later ones are aligned, too.
 */
export function newAlignedRing(): RingMemory {
  const pages = RING_BYTES / WEBASSEMBLY_PAGE;
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return ringIn(buffer, { start: 0, size: RING_BYTES, maxChunk: MAX_CHUNK_BYTES });
}

export interface OpenDevice extends Disposable {
  descriptor: number;
}

/**
 * Files are read through the page cache: unlike a block device, a file may end within a sector, and not every filesystem
 * accepts direct I/O from there.
 * @param path of a block device or a file. @throws like `openSync`
 */
export function openForReading(path: string): OpenDevice {
  const direct = statSync(path).isBlockDevice() ? constants.O_DIRECT : 0;
  const descriptor = openSync(path, constants.O_RDONLY | direct);
  return { descriptor, [Symbol.dispose]: () => closeSync(descriptor) };
}
