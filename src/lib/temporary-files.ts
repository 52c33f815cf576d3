/** Temporary directories that carry the name of their process, so that what a killed one left is found and removed. */
import { lstatSync, mkdtempSync, readdirSync, statfsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asError, SnapError } from '../errors.ts';
import { isKnownDead, isOfThisMachine, type ProcessIdentity, thisProcess } from './process-identity.ts';

export interface TemporaryDirectory extends AsyncDisposable {
  path: string;
}

/** Boot id, namespace, process id and start: hosts that share a directory must not take each other for dead. */
const NAME = /^snap-to-s3-run-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d*)-(\d+)-(\d*)-/;

/** Its files may be large: they are removed beside the main loop, which renews claims meanwhile. */
export function temporaryDirectory(): TemporaryDirectory {
  const path = newRunDirectory(tmpdir());
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A directory in the name of this process, which the caller removes. @throws SnapError `OUTPUT` */
export function newRunDirectory(base: string): string {
  const { boot, namespace, pid, started } = thisProcess();
  const beginning = join(base, `snap-to-s3-run-${boot}-${namespace}-${pid}-${started}-`);
  return inDirectory(base, () => mkdtempSync(beginning));
}

/**
 * Directories of processes that were killed. What is another user's, or of a living process, is not among them, nor what
 * may be another machine's.
 */
export function orphanedDirectories(base = tmpdir()): string[] {
  const isShared = !inDirectory(base, () => isLocal(base));
  return inDirectory(base, () => readdirSync(base))
    .filter((name) => {
      const owner = ownerOf(name);
      return owner !== null && (isKnownDead(owner) || (!isOfThisMachine(owner) && !isShared));
    })
    .map((name) => join(base, name))
    .filter(isOurs);
}

function inDirectory<T>(base: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    throw new SnapError('OUTPUT', `the directory for temporary files cannot be used: ${asError(cause).message}`, {
      hint: `set TMPDIR to a directory that exists, has room and can be written to by this user; now it is ${base}`,
      cause,
    });
  }
}

/** `null` for what carries no name of a process. */
function ownerOf(name: string): ProcessIdentity | null {
  const found = NAME.exec(name);
  if (!found) return null;
  const [, boot = '', namespace = '', pid = '', started = ''] = found;
  return { host: '', boot, namespace, pid: Number(pid), started };
}

/** ext2 to ext4, xfs, btrfs and tmpfs, which one machine alone mounts at a time. Source: statfs(2). */
const LOCAL_FILESYSTEMS: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994]);

/** What is of another boot on it is of this machine before it was restarted, or of one that the disk came from. */
const isLocal = (directory: string): boolean => LOCAL_FILESYSTEMS.has(statfsSync(directory).type);

function isOurs(path: string): boolean {
  const uid = process.getuid?.();
  return uid === 0 || lstatSync(path, { throwIfNoEntry: false })?.uid === uid;
}
