/** A block device for each partition of a disk: the kernel's own, or a window on the disk where it made none. */
import { existsSync } from 'node:fs';
import { cleanupSignal, leftBehind } from '../lib/disposal.ts';
import { runTool } from '../transfer/process.ts';
import { deviceSize } from './block-devices.ts';
import type { Partition } from './partition-table.ts';

export interface PartitionDevice extends AsyncDisposable {
  path: string;
}

export async function openPartition(disk: string, partition: Partition, signal: AbortSignal): Promise<PartitionDevice> {
  const node = kernelNode(disk, partition.number);
  if (existsSync(node) && deviceSize(node) === partition.size) {
    return { path: node, [Symbol.asyncDispose]: async () => {} };
  }
  signal.throwIfAborted();
  return windowOn(disk, partition);
}

/** Names that end in a digit get a `p` before the number. */
const kernelNode = (disk: string, number: number): string => `${disk}${/\d$/.test(disk) ? 'p' : ''}${number}`;

/** Made or not made: cancelling it in between would leave a device that nobody knows of. */
async function windowOn(disk: string, partition: Partition): Promise<PartitionDevice> {
  const window = [`--offset=${partition.start}`, `--sizelimit=${partition.size}`];
  const { stdout } = await runTool(['losetup', '--find', '--show', ...window, disk]);
  const path = stdout.trim();
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      try {
        await runTool(['losetup', '--detach', path], { signal: cleanupSignal() });
      } catch (cause) {
        throw leftBehind(`loop device ${path} on ${disk}`, `losetup --detach ${path}`, cause);
      }
    },
  };
}
