/** Output files. They are replaced atomically, so that a failure never leaves a partial file. */
import { accessSync, constants, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { asError, SnapError } from '../../errors.ts';

/**
 * Call it before a long run, so that an unusable path is refused early.
 * @throws SnapError `USAGE` if the directory of the file is not writable.
 */
export function checkOutputFile(flag: string, path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (cause) {
    throw cannotWrite(flag, path, cause);
  }
}

/** @throws SnapError `USAGE` if the file cannot be created; `OUTPUT` if its disk is full or broken. */
export function writeOutputFile(flag: string, path: string, text: string): void {
  const unfinished = `${path}.${process.pid}.tmp`;
  try {
    // Links are not followed, because another user of the directory may have created one under this name.
    rmSync(unfinished, { force: true });
    writeFileSync(unfinished, text, { flag: 'wx' });
    renameSync(unfinished, path);
  } catch (cause) {
    rmSync(unfinished, { force: true });
    throw cannotWrite(flag, path, cause);
  }
}

/** Errors of the disk, which are not mistakes in the command line. */
const DISK_ERRORS = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EFBIG'];

function cannotWrite(flag: string, path: string, cause: unknown): SnapError {
  const isDiskError = DISK_ERRORS.includes((cause as NodeJS.ErrnoException).code ?? '');
  return new SnapError(isDiskError ? 'OUTPUT' : 'USAGE', `cannot write ${path}: ${asError(cause).message}`, {
    hint: isDiskError
      ? `free space on the disk of ${path}, or specify a file on another disk with ${flag}; then run the same command again`
      : `specify a file in an existing, writable directory with ${flag}`,
    cause,
  });
}
