/** Files that a person asked for: whole, or not there at all. */
import { accessSync, constants, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { asError, SnapError } from '../../errors.ts';

/** Before work that takes long. @throws SnapError `USAGE` when the file's directory cannot be written to. */
export function checkOutputFile(flag: string, path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (cause) {
    throw cannotWrite(flag, path, cause);
  }
}

/** @throws SnapError `USAGE` where no file can be; `OUTPUT` where its disk is full or broken. */
export function writeOutputFile(flag: string, path: string, text: string): void {
  const unfinished = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, path);
  } catch (cause) {
    rmSync(unfinished, { force: true });
    throw cannotWrite(flag, path, cause);
  }
}

/** A full or broken disk is no mistake in the command line. */
const OF_THE_DISK = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EFBIG'];

function cannotWrite(flag: string, path: string, cause: unknown): SnapError {
  const isOfDisk = OF_THE_DISK.includes((cause as NodeJS.ErrnoException).code ?? '');
  return new SnapError(isOfDisk ? 'OUTPUT' : 'USAGE', `cannot write ${path}: ${asError(cause).message}`, {
    hint: isOfDisk
      ? `make room on the disk of ${path}, or give ${flag} a file on another disk; then run the same command again`
      : `give ${flag} a file in a directory that exists and can be written to`,
    cause,
  });
}
