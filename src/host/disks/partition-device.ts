/**
 * Provides a block device for each partition: the one of the kernel, or else a partition loop device. The kernel may have
 * read another table, or number its partitions in another way.
 */
import { existsSync } from 'node:fs';
import { deviceSize, deviceStart } from '../devices/block-devices.ts';
import { attachLoop, type LoopDevice } from '../devices/loop-devices.ts';
import type { Partition } from './partition-table.ts';

/** @param options further options of losetup(8) for a loop device. */
export async function openPartition(
  disk: string,
  partition: Partition,
  signal: AbortSignal,
  options: readonly string[] = [],
): Promise<LoopDevice> {
  const node = kernelNode(disk, partition.number);
  if (existsSync(node) && deviceSize(node) === partition.size && deviceStart(node) === partition.start) {
    return { path: node, [Symbol.asyncDispose]: async () => {} };
  }
  signal.throwIfAborted();
  return attachLoop(disk, [`--offset=${partition.start}`, `--sizelimit=${partition.size}`, ...options]);
}

/** If the name of the disk ends in a digit, a `p` precedes the partition number. */
const kernelNode = (disk: string, number: number): string => `${disk}${/\d$/.test(disk) ? 'p' : ''}${number}`;
