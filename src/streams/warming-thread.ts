/**
 * The warming thread. It reads small files before the comparing thread, so that the disk is always busy: a single
 * thread waits for every file. The data stay in the kernel's cache. The result does not depend on this thread: it may
 * be wrong about the order or unable to read a file.
 */
import { closeSync, readSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { DiskTree } from './disk-tree.ts';

export interface WarmingOrder {
  root: string;
  /** A counter of the files compared so far. */
  compared: SharedArrayBuffer;
}

/** Maximum number of files to read ahead. */
const MAX_FILES_AHEAD = 512;

/** The kernel itself reads larger files ahead. */
const MAX_SMALL_FILE_BYTES = 256 * 1024;

function warm({ root, compared }: WarmingOrder): void {
  using tree = new DiskTree(root);
  const done = new Int32Array(compared);
  const scratch = Buffer.allocUnsafeSlow(MAX_SMALL_FILE_BYTES);
  let files = 0;
  for (const { path, isFile } of tree.walk()) {
    if (!isFile) continue;
    files++;
    for (let now = Atomics.load(done, 0); files - now > MAX_FILES_AHEAD; now = Atomics.load(done, 0))
      Atomics.wait(done, 0, now);
    if (files > Atomics.load(done, 0)) readQuietly(tree, path, scratch);
  }
}

function readQuietly(tree: DiskTree, path: Buffer, scratch: Buffer): void {
  try {
    const size = Number(tree.stat(path)?.size ?? 0);
    if (size === 0 || size > MAX_SMALL_FILE_BYTES) return;
    const descriptor = tree.open(path);
    try {
      readSync(descriptor, scratch, 0, size, 0);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    // The comparing thread will get and report the same error.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
  }
}

warm(workerData as WarmingOrder);
