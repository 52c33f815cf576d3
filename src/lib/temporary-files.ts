/** Temporary directories that carry the name of their process, so that what a killed one left is found and removed. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKnownDead, thisProcess } from './process-identity.ts';

export interface TemporaryDirectory extends Disposable {
  path: string;
}

const NAME = /^snap-to-s3-run-(\d*)-(\d+)-(\d*)-/;

export function temporaryDirectory(): TemporaryDirectory {
  const { namespace, pid, started } = thisProcess();
  const path = mkdtempSync(join(tmpdir(), `snap-to-s3-run-${namespace}-${pid}-${started}-`));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Directories of processes that were killed; what is somebody else's, or of a living process, stays. */
export function sweepTemporaryDirectories(): void {
  const self = thisProcess();
  for (const name of readdirSync(tmpdir())) {
    const [, namespace = '', pid = '', started = ''] = NAME.exec(name) ?? [];
    if (pid === '' || namespace !== self.namespace) continue;
    if (!isKnownDead({ ...self, pid: Number(pid), started })) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}
