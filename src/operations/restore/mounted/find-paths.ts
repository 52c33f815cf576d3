/** Finds the requested paths in a mounted filesystem, without following links: they may lead out of it. */
import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';

/** Filesystems that find a file also by another spelling of its name. In a tar, it has only one. */
const CASE_INSENSITIVE = new Set(['vfat', 'ntfs', 'exfat']);

export interface FoundPaths {
  /** The requested paths that exist, and are not below another one of them. */
  wanted: string[];
  /** The directories above them, each after the one that it is in, without the root. */
  above: string[];
  missing: string[];
}

/** @param paths their bytes as Latin-1, without `.` and `..`. @throws system errors other than that a file does not exist. */
export async function findPaths(
  { root, filesystem }: { root: string; filesystem: string },
  paths: readonly string[],
  signal: AbortSignal,
): Promise<FoundPaths> {
  const existing: string[] = [];
  for (const path of paths) {
    signal.throwIfAborted();
    if (await exists(root, path, CASE_INSENSITIVE.has(filesystem))) existing.push(path);
  }
  const wanted = [...new Set(existing)].filter((path) => !existing.some((other) => path.startsWith(`${other}/`)));
  const above = [...new Set(wanted.flatMap(parentsOf))].sort((one, other) => one.length - other.length);
  return { wanted, above, missing: paths.filter((path) => !existing.includes(path)) };
}

async function exists(root: string, path: string, isSpellingChecked: boolean): Promise<boolean> {
  const whole = [...parentsOf(path), path];
  for (const part of whole) {
    const found = await statOf(below(root, part));
    if (!found || (part !== path && !found.isDirectory())) return false;
    if (isSpellingChecked && !(await isSpelled(root, part))) return false;
  }
  return true;
}

/** `a` and `a/b` for `a/b/c`. */
const parentsOf = (path: string): string[] => {
  const names = path.split('/');
  return names.slice(1).map((_, at) => names.slice(0, at + 1).join('/'));
};

async function isSpelled(root: string, path: string): Promise<boolean> {
  const at = path.lastIndexOf('/');
  const name = Buffer.from(path.slice(at + 1), 'latin1');
  const names = await readdir(below(root, path.slice(0, Math.max(0, at))), { encoding: 'buffer' });
  return names.some((other) => name.equals(other));
}

const below = (root: string, path: string): Buffer =>
  Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

async function statOf(file: Buffer): Promise<Stats | null> {
  try {
    return await lstat(file);
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
