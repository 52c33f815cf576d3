/** Loop devices on files and on ranges of other devices. */
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
 * Attaches a loop device. It cannot be canceled, because that could leave a device behind that nobody knows about.
 * @param options options of losetup(8).
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
 * Detaches a loop device and waits until its file is free. If another program has the device open, the kernel detaches
 * it only when that program closes it.
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

/** Returns the loop devices on a file or device. */
export const loopsOn = (file: string): string[] =>
  readdirSync('/sys/block')
    .map((name) => `/dev/${name}`)
    .filter((path) => loopFact(path, 'backing_file') === file);

/** Whether the loop device shows a range of another device, such as those that `openPartition` creates. */
export const isPartitionLoop = (path: string): boolean => loopFact(path, 'backing_file')?.startsWith('/dev/') === true;

/** @returns `null` if the loop device is not in use. */
function loopFact(path: string, name: string): string | null {
  try {
    return readFileSync(`/sys/block/${basename(path)}/loop/${name}`, 'utf8').trim();
  } catch {
    return null;
  }
}
