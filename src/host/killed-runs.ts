/** What runs that were killed have left on this machine, apart from what belongs to a volume. */
import { join } from 'node:path';
import { orphanedDirectories, sweepTemporaryDirectories } from '../lib/temporary-files.ts';
import { runTool } from '../transfer/process.ts';
import { loopsOn } from './loop-devices.ts';
import { isMounted } from './mounts.ts';
import { DISK } from './served-disk.ts';
import { endStaleUse } from './stale-use.ts';

/** Ends served disks, whose servers are gone with their runs, and removes temporary directories. */
export async function sweepKilledRuns(): Promise<void> {
  for (const directory of orphanedDirectories()) {
    const file = join(directory, DISK);
    if (isMounted(file)) await endServedDisk(file);
  }
  sweepTemporaryDirectories();
}

const NONE = /^(?!)/;

async function endServedDisk(file: string): Promise<void> {
  for (const loop of loopsOn(file)) {
    await endStaleUse(loop, '/', NONE);
    await runTool(['losetup', '--detach', loop]);
  }
  await runTool(['umount', '--lazy', '--', file]);
}
