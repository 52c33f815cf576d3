/** Reads a device ahead in a thread, beside the page cache: its bytes are wanted once, and not by anybody else. */
import { closeSync, constants, openSync } from 'node:fs';
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

/** @param path of a block device, or of a file on any filesystem. @throws like `openSync` */
export function openForReading(path: string): OpenDevice {
  const descriptor = openDirectly(path) ?? openSync(path, 'r');
  return { descriptor, [Symbol.dispose]: () => closeSync(descriptor) };
}

/** Returns `null` if the filesystem of the file does not support direct I/O. */
function openDirectly(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECT);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    return null;
  }
}
