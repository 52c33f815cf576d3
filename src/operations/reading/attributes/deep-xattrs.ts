/** Reads the extended attributes of a mounted filesystem at any depth of directories, with names as in a tar. */
import { closeSync } from 'node:fs';
import { xattrNameInTar } from '../../../archive/tar/tar-member.ts';
import { type AttributedFile, readXattrs } from '../../../host/filesystems/xattrs.ts';
import { DiskTree } from '../../../streams/disk-tree.ts';
import { walkInTurns } from './walk-in-turns.ts';

/** Maximum bytes of a directory's path below the root: with the root and the name of an entry, it stays below PATH_MAX. */
const LONGEST_DIRECTORY = 2048;

/**
 * getfattr skips paths beyond PATH_MAX. Directories with long paths are therefore opened, and read as separate roots.
 * @throws SnapError `STAGE_FAILED`
 */
export async function* readDeepXattrs(root: string, signal: AbortSignal): AsyncGenerator<AttributedFile> {
  let isDeep = false;
  const onTooLong = () => {
    isDeep = true;
  };
  for await (const file of readXattrs(root, signal, onTooLong)) {
    if (isTooDeep(file.path)) isDeep = true;
    else yield { ...file, xattrs: new Map([...file.xattrs].map(([name, value]) => [xattrNameInTar(name), value])) };
  }
  if (!isDeep) return;
  using tree = new DiskTree(root);
  for await (const { path } of walkInTurns(tree, signal)) {
    if (path.length <= LONGEST_DIRECTORY || isTooDeep(path) || !tree.stat(path)?.isDirectory()) continue;
    yield* below(path, tree, signal);
  }
}

async function* below(directory: Buffer, tree: DiskTree, signal: AbortSignal): AsyncGenerator<AttributedFile> {
  const descriptor = tree.open(directory);
  try {
    for await (const { path, xattrs } of readDeepXattrs(`/proc/${process.pid}/fd/${descriptor}/.`, signal)) {
      // The attributes of the directory itself were found by its path.
      if (path.length > 0) yield { path: Buffer.concat([directory, SLASH, path]), xattrs };
    }
  } finally {
    closeSync(descriptor);
  }
}

const SLASH = Buffer.from('/');

/** Whether the path is below a directory that is read as a separate root. */
const isTooDeep = (path: Buffer): boolean => path.lastIndexOf(0x2f) > LONGEST_DIRECTORY;
