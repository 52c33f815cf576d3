/** Provides the compiled program as users install it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..', '..');

interface Built extends Disposable {
  /** The output directory of the build, in the place of `dist`. */
  directory: string;
  program: string;
}

/** Returns the existing build, or builds the program next to the sources, where it finds its imports. */
export function build(): Built {
  const given = process.env['SNAP_TO_S3_PROGRAM'];
  if (given !== undefined)
    return { directory: join(dirname(given), '..'), program: given, [Symbol.dispose]: () => undefined };
  const directory = mkdtempSync(join(ROOT, '.built-'));
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.ts'), directory], { stdio: 'inherit' });
  return {
    directory,
    program: join(directory, 'src', 'bin.js'),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
