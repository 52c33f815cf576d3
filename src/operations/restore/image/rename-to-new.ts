/** Renaming that never destroys what has the new name already. */
import { link, lstat, open, rename, unlink } from 'node:fs/promises';

/** Filesystems without links: FAT, and some in user space. */
const WITHOUT_LINKS = ['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP'];

/** @throws as link(2), or open(2), where there is something of the new name, whenever it came. */
export async function renameToNew(from: string, to: string): Promise<void> {
  try {
    // Unlike rename(2), it fails where there is something.
    await link(from, to);
  } catch (error) {
    if (!WITHOUT_LINKS.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await renameWithoutLinks(from, to);
    return;
  }
  await unlink(from);
}

/** An empty file takes the name first: no other process can create one then, and rename(2) replaces our own only. */
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
