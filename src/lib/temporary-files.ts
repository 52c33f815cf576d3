/** Temporary directories that carry the name of their process, so that what a killed one left is found and removed. */
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKnownDead, thisProcess } from './process-identity.ts';

export interface TemporaryDirectory extends Disposable {
  path: string;
}

const NAME = /^snap-to-s3-run-(\d*)-(\d+)-(\d*)-/;

export function temporaryDirectory(): TemporaryDirectory {
  const path = newRunDirectory(tmpdir());
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A directory in the name of this process, which the caller removes. */
export function newRunDirectory(base: string): string {
  const { namespace, pid, started } = thisProcess();
  return mkdtempSync(join(base, `snap-to-s3-run-${namespace}-${pid}-${started}-`));
}

/** Directories of processes that were killed; what is another user's, or of a living process, is not among them. */
export function orphanedDirectories(base = tmpdir()): string[] {
  const self = thisProcess();
  return readdirSync(base)
    .filter((name) => {
      const [, namespace = '', pid = '', started = ''] = NAME.exec(name) ?? [];
      return pid !== '' && namespace === self.namespace && isKnownDead({ ...self, pid: Number(pid), started });
    })
    .map((name) => join(base, name))
    .filter(isOurs);
}

function isOurs(path: string): boolean {
  const uid = process.getuid?.();
  return uid === 0 || lstatSync(path, { throwIfNoEntry: false })?.uid === uid;
}

export function sweepTemporaryDirectories(): void {
  for (const path of orphanedDirectories()) rmSync(path, { recursive: true, force: true });
}
