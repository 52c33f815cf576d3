/**
 * The thread that reads small files ahead of the thread that compares, so that the disk always has something to do: one
 * thread alone waits for every file. What it reads stays in the kernel's cache. It is only ever a help: where it is
 * wrong about the order, or cannot read, nothing depends on it.
 */
import { closeSync, readSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { DiskTree } from './disk-tree.ts';

export interface WarmingOrder {
  root: string;
  /** One number: files that have been compared so far. */
  compared: SharedArrayBuffer;
}

/** Files that it may be ahead. */
const AHEAD = 512;

/** What is larger is read ahead by the kernel itself. */
const SMALL = 256 * 1024;

function warm({ root, compared }: WarmingOrder): void {
  using tree = new DiskTree(root);
  const done = new Int32Array(compared);
  const scratch = Buffer.allocUnsafeSlow(SMALL);
  let files = 0;
  for (const { path, isFile } of tree.walk()) {
    if (!isFile) continue;
    files++;
    for (let now = Atomics.load(done, 0); files - now > AHEAD; now = Atomics.load(done, 0)) Atomics.wait(done, 0, now);
    if (files > Atomics.load(done, 0)) readQuietly(tree, path, scratch);
  }
}

function readQuietly(tree: DiskTree, path: Buffer, scratch: Buffer): void {
  try {
    const size = Number(tree.stat(path)?.size ?? 0);
    if (size === 0 || size > SMALL) return;
    const descriptor = tree.open(path);
    try {
      readSync(descriptor, scratch, 0, size, 0);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    // Whoever compares it meets the same refusal, and says so.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
  }
}

warm(workerData as WarmingOrder);
