/** A block device for each partition of a disk: the kernel's own, or a window on the disk where it made none. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { seconds } from '../lib/clock.ts';
import { cleanupSignal, leftBehind } from '../lib/disposal.ts';
import { waitFor } from '../lib/wait.ts';
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
        await closeWindow(path, disk, partition);
      } catch (cause) {
        throw leftBehind(`loop device ${path} on ${disk}`, `losetup --detach ${path}`, cause);
      }
    },
  };
}

/**
 * Another program that has just looked at the window keeps it open a little longer: the kernel then closes it with
 * the last who uses it, and only after that is the disk free.
 */
async function closeWindow(path: string, disk: string, { start }: Partition): Promise<void> {
  const signal = cleanupSignal();
  await runTool(['losetup', '--detach', path], { signal });
  const look = async () => {
    const isOpen = loopFact(path, 'backing_file') === disk && loopFact(path, 'offset') === String(start);
    return { verdict: isOpen ? 'again' : 'done', value: undefined, seen: 'in use' } as const;
  };
  const pauses = { firstPause: 20, longestPause: 500 };
  await waitFor(look, { what: `${path} to be closed`, within: seconds(30), signal, ...pauses });
}

/** `null` for a loop device that is not in use. */
function loopFact(path: string, name: string): string | null {
  try {
    return readFileSync(`/sys/block/${basename(path)}/loop/${name}`, 'utf8').trim();
  } catch {
    return null;
  }
}
