/** Renames a file without ever replacing an existing file. */
import { link, lstat, open, rename, unlink } from 'node:fs/promises';

/** Errors of filesystems without hard links, such as FAT and some FUSE filesystems. */
const WITHOUT_LINKS = ['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP'];

/** @throws the errors of link(2) or open(2), such as `EEXIST`, if the new name exists. */
export async function renameToNew(from: string, to: string): Promise<void> {
  try {
    // Unlike rename(2), link(2) fails if the new name exists.
    await link(from, to);
  } catch (error) {
    if (!WITHOUT_LINKS.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await renameWithoutLinks(from, to);
    return;
  }
  await unlink(from);
}

/** Creates an empty file with the new name first, so that rename(2) replaces only this file. */
async function renameWithoutLinks(from: string, to: string): Promise<void> {
  await using placeholder = await open(to, 'wx', 0o600);
  const own = await placeholder.stat();
  const isOwn = async () => {
    const { dev, ino, size } = await lstat(to);
    return dev === own.dev && ino === own.ino && size === 0;
  };
  if (!(await isOwn())) throw new Error(`another process has written to ${to}`);
  try {
    await rename(from, to);
  } catch (error) {
    if (await isOwn()) await unlink(to);
    throw error;
  }
}
