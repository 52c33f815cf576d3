/** A block device for each partition of a disk: the kernel's own, or a window on the disk where it made none. */
import { existsSync } from 'node:fs';
import { deviceSize } from '../devices/block-devices.ts';
import { attachLoop, type LoopDevice } from '../devices/loop-devices.ts';
import type { Partition } from './partition-table.ts';

export async function openPartition(disk: string, partition: Partition, signal: AbortSignal): Promise<LoopDevice> {
  const node = kernelNode(disk, partition.number);
  if (existsSync(node) && deviceSize(node) === partition.size) {
    return { path: node, [Symbol.asyncDispose]: async () => {} };
  }
  signal.throwIfAborted();
  return attachLoop(disk, [`--offset=${partition.start}`, `--sizelimit=${partition.size}`]);
}

/** Names that end in a digit get a `p` before the number. */
const kernelNode = (disk: string, number: number): string => `${disk}${/\d$/.test(disk) ? 'p' : ''}${number}`;
