/**
 * Device names that labs of this machine have given to attachments. A name is taken from AttachVolume on, but its link is
 * made later: without a mark of its own, two labs could give one name to two volumes.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isInUse } from '../core/owner.ts';

/** Forgotten when the machine starts, as the devices are. Each entry is a link to the directory of the lab that has the name. */
const MARKS = '/run/snap-to-s3-lab';

const markOf = (device: string): string => join(MARKS, basename(device));

/**
 * @param device e.g. `/dev/sdf`.
 * @param directory of the lab.
 * @returns `false` where another lab that runs has the name.
 */
export function takeName(device: string, directory: string): boolean {
  mkdirSync(MARKS, { recursive: true });
  const owner = ownerOf(device);
  if (owner !== null && owner !== directory && isInUse(owner)) return false;
  return owner === null ? isMade(device, directory) : isReplaced(device, directory);
}

/** Gives a name back; one that another lab has is left alone. */
export function leaveName(device: string, directory: string): void {
  if (ownerOf(device) === directory) unlinkSync(markOf(device));
}

function isMade(device: string, directory: string): boolean {
  try {
    symlinkSync(directory, markOf(device));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return ownerOf(device) === directory;
  }
}

/** What a killed lab has left is replaced in one step. */
function isReplaced(device: string, directory: string): boolean {
  const aside = `${markOf(device)}.${randomUUID()}`;
  symlinkSync(directory, aside);
  renameSync(aside, markOf(device));
  return ownerOf(device) === directory;
}

/** @returns the directory of the lab that has the name. */
export function ownerOf(device: string): string | null {
  try {
    return readlinkSync(markOf(device));
  } catch {
    return null;
  }
}
