/** Simulates machines that lack a program. */
import { existsSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestLab } from '../lab.ts';

/** Returns a search path that lacks a program, or has another one in its place. */
export function pathWithout(lab: TestLab, name: string, instead?: string): string {
  const directory = mkdtempSync(join(lab.directory, 'bin-'));
  for (const place of ['/usr/sbin', '/usr/bin', '/sbin', '/bin']) {
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
