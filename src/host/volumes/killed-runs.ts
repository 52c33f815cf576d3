/** Removes what killed runs have left on this machine, except for what belongs to a volume. */
import { join } from 'node:path';
import { orphanedDirectories } from '../../lib/temporary-files.ts';
import { runTool } from '../../transfer/run-tool.ts';
import { loopsOn } from '../devices/loop-devices.ts';
import { isMounted } from '../filesystems/mounts.ts';
import { removeTree } from '../remove-tree.ts';
import { DISK } from './served-disk.ts';
import { endStaleUse } from './stale-use.ts';

/**
 * Removes served disks, whose servers died with their runs, and temporary directories.
 * @throws the reason of the signal, or SnapError if one cannot be removed.
 */
export async function sweepKilledRuns(signal: AbortSignal): Promise<void> {
  for (const directory of orphanedDirectories()) {
    signal.throwIfAborted();
    const file = join(directory, DISK);
    if (isMounted(file)) await endServedDisk(file);
    await removeTree(directory, signal);
  }
}

const NONE = /^(?!)/;

async function endServedDisk(file: string): Promise<void> {
  for (const loop of loopsOn(file)) {
    await endStaleUse(loop, '/', NONE);
    await runTool(['losetup', '--detach', loop]);
  }
  await runTool(['umount', '--lazy', '--', file]);
}
