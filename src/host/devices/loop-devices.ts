/** Loop devices: block devices made of files, or of parts of other devices. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { seconds } from '../../lib/clock.ts';
import { cleanupError, cleanupSignal } from '../../lib/disposal.ts';
import { waitFor } from '../../lib/wait.ts';
import { runTool } from '../../transfer/run-tool.ts';

export interface LoopDevice extends AsyncDisposable {
  path: string;
}

/**
 * Made or not made: cancelling it in between would leave a device that nobody knows of.
 * @param options of losetup(8).
 */
export async function attachLoop(file: string, options: readonly string[]): Promise<LoopDevice> {
  const { stdout } = await runTool(['losetup', '--find', '--show', ...options, file]);
  const path = stdout.trim();
  const offset = loopFact(path, 'offset');
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      try {
        await detach(path, file, offset);
      } catch (cause) {
        throw cleanupError(`loop device ${path} on ${file}`, `losetup --detach ${path}`, cause);
      }
    },
  };
}

/**
 * Another program that has just looked at the device keeps it open a little longer: the kernel then closes it with the
 * last who uses it, and only after that is the file free.
 */
async function detach(path: string, file: string, offset: string | null): Promise<void> {
  const signal = cleanupSignal();
  await runTool(['losetup', '--detach', path], { signal });
  const look = async () => {
    const isOpen = loopFact(path, 'backing_file') === file && loopFact(path, 'offset') === offset;
    return { verdict: isOpen ? 'again' : 'done', value: undefined, seen: 'in use' } as const;
  };
  const pauses = { firstPause: 20, longestPause: 500 };
  await waitFor(look, { what: `${path} to be closed`, within: seconds(30), signal, ...pauses });
}

/** Loop devices on a file or device. */
export const loopsOn = (file: string): string[] =>
  readdirSync('/sys/block')
    .map((name) => `/dev/${name}`)
    .filter((path) => loopFact(path, 'backing_file') === file);

/** Whether it shows a part of another device, as those do that `openPartition` makes. */
export const isPartitionLoop = (path: string): boolean => loopFact(path, 'backing_file')?.startsWith('/dev/') === true;

/** `null` for a loop device that is not in use. */
function loopFact(path: string, name: string): string | null {
  try {
    return readFileSync(`/sys/block/${basename(path)}/loop/${name}`, 'utf8').trim();
  } catch {
    return null;
  }
}
