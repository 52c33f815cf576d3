/**
 * Removes directory trees with rm(1). Its memory and its open files do not grow with the number of files in a directory or
 * with the depth of a tree, and it removes empty directories that it may not read. Links are removed and not followed.
 */
import { resolve } from 'node:path';
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
    await runTool(argv, { signal, within: REMOVAL_TIMEOUT });
  } catch (cause) {
    if (cause instanceof SnapError && cause.code === 'INTERRUPTED') throw cause;
    throw cleanupError(path, argv.join(' '), cause);
  }
}

/**
 * Removes what a directory contains. Uses `find`, because names are bytes, which need not be valid text, and Node passes only
 * text to `rm`.
 * @param path the directory, or a link to it.
 * @param kept names that stay.
 * @throws ToolError after everything else was removed; SnapError `TOOL_MISSING`; the reason of the signal.
 */
export async function emptyDirectory(path: string, kept: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  const others = [...kept].flatMap((name) => ['!', '-name', name.replaceAll(/[*?[\\]/g, '\\$&')]);
  const top = ['-mindepth', '1', '-maxdepth', '1'];
  const argv = ['find', '-H', resolve(path), ...top, ...others, '-exec', 'rm', '-rf', '--', '{}', '+'];
  await runTool(argv, { signal, within: REMOVAL_TIMEOUT });
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
