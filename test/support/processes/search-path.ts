/** Simulates machines that lack programs. */
import { existsSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestLab } from '../lab.ts';

/** Returns a search path that has only these programs. */
export function pathWithOnly(lab: TestLab, names: readonly string[]): string {
  const directory = mkdtempSync(join(lab.directory, 'bin-'));
  for (const name of names) {
    const found = PLACES.map((place) => join(place, name)).find(existsSync);
    if (found) symlinkSync(found, join(directory, name));
  }
  return directory;
}

const PLACES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Returns a search path that lacks a program, or has another one in its place. */
export function pathWithout(lab: TestLab, name: string, instead?: string): string {
  const directory = mkdtempSync(join(lab.directory, 'bin-'));
  for (const place of PLACES) {
    for (const program of readdirSync(place)) {
      if (program !== name && !existsSync(join(directory, program))) {
        try {
          symlinkSync(join(place, program), join(directory, program));
        } catch {
          // The link exists already, and its target does not.
        }
      }
    }
  }
  if (instead !== undefined) writeFileSync(join(directory, name), instead, { mode: 0o755 });
  return directory;
}
