/**
 * Records the device names that labs on this machine have assigned to attachments. AttachVolume assigns a name before
 * its link is created. Without this record, two labs could assign one name to two volumes.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isInUse } from '../core/owner.ts';

/** Each entry is a link to the directory of the lab with the name. A restart of the machine removes all entries. */
const MARKS = '/run/snap-to-s3-lab';

const markOf = (device: string): string => join(MARKS, basename(device));

/**
 * @param device e.g. `/dev/sdf`.
 * @param directory the directory of the lab.
 * @returns `false` if another running lab has the name.
 */
export function takeName(device: string, directory: string): boolean {
  mkdirSync(MARKS, { recursive: true });
  const owner = ownerOf(device);
  if (owner !== null && owner !== directory && isInUse(owner)) return false;
  return owner === null ? isMade(device, directory) : isReplaced(device, directory);
}

/** Releases a name, unless another lab has it. */
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

/** Replaces the entry of a killed lab atomically. @returns whether this lab has the name now. */
function isReplaced(device: string, directory: string): boolean {
  const aside = `${markOf(device)}.${randomUUID()}`;
  symlinkSync(directory, aside);
  renameSync(aside, markOf(device));
  return ownerOf(device) === directory;
}

/** @returns the directory of the lab that has the name, or `null`. */
export function ownerOf(device: string): string | null {
  try {
    return readlinkSync(markOf(device));
  } catch {
    return null;
  }
}
