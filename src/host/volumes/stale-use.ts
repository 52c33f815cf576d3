/** What a run that was killed has left on a device: mounts, and windows on its partitions. */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../../transfer/run-tool.ts';
import { isPartitionLoop, loopsOn } from '../devices/loop-devices.ts';
import { mountsHere, unmount } from '../filesystems/mounts.ts';

/**
 * Unmounts what is mounted of the device, and what is mounted at the snapshot's own mount points; then closes windows.
 * Only to be called by who alone may use the device.
 * @param device `null` where it is not known for sure: then only the mount points count, and the windows behind them.
 * @param mountPoints names of directories below `below` that belong to the snapshot alone.
 * @throws SnapError `CLEANUP_FAILED` naming what keeps a mount busy.
 */
export async function endStaleUse(device: string | null, below: string, mountPoints: RegExp): Promise<void> {
  const windows = new Set(device === null ? [] : loopsOn(device));
  const isOurs = (source: string) =>
    device !== null && (source === device || windows.has(source) || isPartitionOf(device, source));
  for (const { source, directory } of mountsHere().reverse()) {
    const name = directory.startsWith(`${below}/`) ? directory.slice(below.length + 1) : '';
    if (!isOurs(source) && !mountPoints.test(name)) continue;
    await unmount(source, directory);
    if (isPartitionLoop(source)) windows.add(source);
  }
  for (const window of windows) await runTool(['losetup', '--detach', window]);
  removeEmpty(below, mountPoints);
}

const isPartitionOf = (device: string, source: string): boolean =>
  source.startsWith(device) && /^p?\d+$/.test(source.slice(device.length));

/** Mount points that were made and never used. */
function removeEmpty(below: string, mountPoints: RegExp): void {
  for (const name of namesIn(below).filter((entry) => mountPoints.test(entry))) {
    try {
      rmdirSync(join(below, name));
    } catch {
      // Not empty, so none that was left: `mountReadOnly` will refuse it by name.
    }
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
