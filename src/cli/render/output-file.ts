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

/** @throws SnapError `USAGE` */
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

const cannotWrite = (flag: string, path: string, cause: unknown): SnapError =>
  new SnapError('USAGE', `cannot write ${path}: ${asError(cause).message}`, {
    hint: `give ${flag} a file in a directory that exists and can be written to`,
    cause,
  });
