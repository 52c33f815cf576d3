/** Temporary directories whose names identify their process. Those of killed processes are found and removed later. */
import { lstatSync, mkdtempSync, readdirSync, statfsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asError, SnapError } from '../errors.ts';
import { isKnownDead, isOnThisMachine, machineMark, type ProcessIdentity, thisProcess } from './process-identity.ts';

export interface TemporaryDirectory extends AsyncDisposable {
  path: string;
}

/**
 * Boot id, namespace, process id and start time, and the mark of the machine, which earlier versions left out. Hosts may
 * share the directory, so a process id alone is not enough.
 */
const NAME = /^snap-to-s3-run-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d*)-(\d+)-(\d*)-(?:m([0-9a-f]{16})-)?/;

/**
 * Creates a temporary directory. Its files may be large, so they are removed asynchronously: the main loop has to go on
 * renewing claims.
 */
export function temporaryDirectory(): TemporaryDirectory {
  const path = newRunDirectory(tmpdir());
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Creates a directory that is named after this process. The caller removes it. @throws SnapError `OUTPUT` */
export function newRunDirectory(base: string): string {
  const { boot, namespace, pid, started } = thisProcess();
  const mark = machineMark();
  const machine = mark === '' ? '' : `m${mark}-`;
  const namePrefix = join(base, `snap-to-s3-run-${boot}-${namespace}-${pid}-${started}-${machine}`);
  return inDirectory(base, () => mkdtempSync(namePrefix));
}

/**
 * Finds the directories of killed processes. It leaves out directories of other users, of running processes, and those
 * that may belong to another machine.
 * @throws SnapError `OUTPUT`
 */
export function orphanedDirectories(base = tmpdir()): string[] {
  const isShared = !inDirectory(base, () => isLocal(base));
  return inDirectory(base, () => readdirSync(base))
    .filter((name) => {
      const owner = ownerOf(name);
      return owner !== null && (isKnownDead(owner) || (isOfEarlierBoot(owner) && !isShared));
    })
    .map((name) => join(base, name))
    .filter(isOurs);
}

interface Owner extends ProcessIdentity {
  /** See `machineMark`. */
  machine: string;
}

/**
 * The machine may be the server that shares the directory with others, so that its filesystem is a local one. Nothing is
 * known about machines without a mark.
 */
const isOfEarlierBoot = (owner: Owner): boolean =>
  !isOnThisMachine(owner) && owner.machine !== '' && owner.machine === machineMark();

function inDirectory<T>(base: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    throw new SnapError('OUTPUT', `the directory for temporary files cannot be used: ${asError(cause).message}`, {
      hint: `set TMPDIR to a directory that exists, has free space and is writable for this user; it is ${base} now`,
      cause,
    });
  }
}

/** @returns `null` if the name does not identify a process. */
function ownerOf(name: string): Owner | null {
  const found = NAME.exec(name);
  if (!found) return null;
  const [, boot = '', namespace = '', pid = '', started = '', machine = ''] = found;
  return { host: '', boot, namespace, pid: Number(pid), started, machine };
}

/** ext2 to ext4, xfs, btrfs and tmpfs. Only one machine at a time mounts these. Source: statfs(2). */
const LOCAL_FILESYSTEMS: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994]);

/**
 * Whether only this machine mounts the filesystem. Otherwise, the directory of another boot may be in use on a clone of
 * this machine, which has the same machine id.
 */
const isLocal = (directory: string): boolean => LOCAL_FILESYSTEMS.has(statfsSync(directory).type);

function isOurs(path: string): boolean {
  const uid = process.getuid?.();
  return uid === 0 || lstatSync(path, { throwIfNoEntry: false })?.uid === uid;
}
