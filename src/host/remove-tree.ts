/** Directory trees removed by a program of their own: they may be large, and deeper than one path reaches. */

import { SnapError } from '../errors.ts';
import { minutes } from '../lib/clock.ts';
import { cleanupError, cleanupSignal } from '../lib/disposal.ts';
import { newRunDirectory } from '../lib/temporary-files.ts';
import { runTool } from '../transfer/run-tool.ts';

/** Ten million files take some minutes on a disk, and some hours on a network filesystem. */
const REMOVAL = minutes(360);

/** @throws SnapError `CLEANUP_FAILED` where something cannot be removed; `INTERRUPTED` */
export async function removeTree(path: string, signal: AbortSignal): Promise<void> {
  const argv = ['rm', '-rf', '--', path];
  try {
    await runTool(argv, { within: REMOVAL, signal });
  } catch (cause) {
    if (cause instanceof SnapError && cause.code === 'INTERRUPTED') throw cause;
    throw cleanupError(path, argv.join(' '), cause);
  }
}

/**
 * A directory for a large tree, in the name of this process. Its disposal removes all of it.
 * @throws as mkdtemp(3); its disposal SnapError `CLEANUP_FAILED`
 */
export function treeDirectory(base: string): AsyncDisposable & { path: string } {
  const path = newRunDirectory(base);
  return {
    path,
    [Symbol.asyncDispose]: () => removeTree(path, cleanupSignal(REMOVAL)),
  };
}
