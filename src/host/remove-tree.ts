/** Removes directory trees with rm(1), because they may be large and deeper than the longest path. */

import { SnapError } from '../errors.ts';
import { minutes } from '../lib/clock.ts';
import { cleanupError, cleanupSignal } from '../lib/disposal.ts';
import { newRunDirectory } from '../lib/temporary-files.ts';
import { runTool } from '../transfer/run-tool.ts';

/** Removing ten million files takes minutes on a disk and hours on a network filesystem. */
const REMOVAL_TIMEOUT = minutes(360);

/** @throws SnapError `CLEANUP_FAILED` if something cannot be removed, or `INTERRUPTED`. */
export async function removeTree(path: string, signal: AbortSignal): Promise<void> {
  const argv = ['rm', '-rf', '--', path];
  try {
    await runTool(argv, { within: REMOVAL_TIMEOUT, signal });
  } catch (cause) {
    if (cause instanceof SnapError && cause.code === 'INTERRUPTED') throw cause;
    throw cleanupError(path, argv.join(' '), cause);
  }
}

/**
 * Creates a directory for a large tree, named after this process. Disposing of it removes the tree.
 * @throws SnapError `OUTPUT`; on disposal, SnapError `CLEANUP_FAILED`.
 */
export function treeDirectory(base: string): AsyncDisposable & { path: string } {
  const path = newRunDirectory(base);
  return {
    path,
    [Symbol.asyncDispose]: () => removeTree(path, cleanupSignal(REMOVAL_TIMEOUT)),
  };
}
