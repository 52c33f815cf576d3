/** Releases what a killed run has left on a device: mounts and partition loop devices. */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from '../../transfer/run-tool.ts';
import { isPartitionLoop, loopsOn } from '../devices/loop-devices.ts';
import { mountsHere, unmount } from '../filesystems/mounts.ts';

/**
 * Unmounts the device and the mount points of the snapshot, then detaches the partition loop devices. Only a caller
 * with exclusive use of the device may call it.
 * @param device `null` if it is not known for certain. Then only the mount points and their loop devices are released.
 * @param below the directory that contains the mount points.
 * @param mountPoints matches the names of directories that belong to this snapshot only.
 * @throws SnapError `CLEANUP_FAILED` with the processes that keep a mount busy.
 */
export async function endStaleUse(device: string | null, below: string, mountPoints: RegExp): Promise<void> {
  const loops = new Set(device === null ? [] : loopsOn(device));
  const isOurs = (source: string) =>
    device !== null && (source === device || loops.has(source) || isPartitionOf(device, source));
  for (const { source, directory } of mountsHere().reverse()) {
    const name = directory.startsWith(`${below}/`) ? directory.slice(below.length + 1) : '';
    if (!isOurs(source) && !mountPoints.test(name)) continue;
    await unmount(source, directory);
    if (isPartitionLoop(source)) loops.add(source);
  }
  for (const loop of loops) await runTool(['losetup', '--detach', loop]);
  removeEmpty(below, mountPoints);
}

const isPartitionOf = (device: string, source: string): boolean =>
  source.startsWith(device) && /^p?\d+$/.test(source.slice(device.length));

/** Removes mount points that were created and never used. */
function removeEmpty(below: string, mountPoints: RegExp): void {
  for (const name of namesIn(below).filter((entry) => mountPoints.test(entry))) {
    try {
      rmdirSync(join(below, name));
    } catch {
      // It is not empty, so it is no leftover. `mountReadOnly` will report it.
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
